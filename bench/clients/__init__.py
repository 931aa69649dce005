"""Unmodified clients that nobody here wrote, against the simulator: each must bring every row, equal to the truth.

    make clients        (python -m bench.clients)

`front` serves clients that insist on https; `environments` installs each client apart from ours; `truth` says what equal
means; `python_clients` and `node_clients` run them. Their licences keep them out of our dependencies.
"""
