"""PyTorch: the weights of nn.LSTM, and files of state dicts.

weights       arrays of an nn.LSTM or nn.LSTMCell, both ways; no file
state_dicts   `.safetensors`, `.pt`, `.pth` and `.bin` as a chain, and a chain as `.safetensors`
archive       the tensors in a file of torch.save; `pickled` is how they are described there
"""
