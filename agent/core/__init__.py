"""The whole of the product's judgement. Pure: no clock, no I/O, no randomness, no floats, no logging.

`step(state, event, now)` is the only way in. What is (model), what happened (event), what to do (change), which state may
follow which (lifecycle), and the rules of each part: gate, card, reversal, receipt, evidence, playbook, invariant.
"""
