"""How fast lstmcore is, and how much memory it takes.

comparison, launch, worker      lstmcore beside its peers, each peer in a process of its own
peers, seq2seq, tutorial        what they compute: one layer, an encoder-decoder, 300 epochs
formulations                    other ways to write the loops of the engine
long, memory                    memory of gradients
overhead, stepping, traces      what an option or a convenience of lstmcore costs
timing, parity, grid            how everything is timed, checked and sized
processes, results, formatting  new processes, files of results, numbers as text
"""
