"""How a decoder writes by itself, step by step, with any step function and any state.

`greedy.py` takes the likeliest token, or a random one; `beam.py` keeps several sequences at once;
`feedback.py` hands numbers back. `stepping.py` holds what they ask of a step and its state.
"""
