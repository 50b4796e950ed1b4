"""Autoregressive decoding: any step function and any state, each output being the next input.

greedy    the most probable token at each step, or one drawn at random (`sample`)
beam      several sequences at once (`beam_search`)
rollout   real-valued outputs
stepping  what they require of a step function and its state
"""
