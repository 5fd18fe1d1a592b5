"""What the fuzz targets share::

    library     what of the corpus serves as seeds
    tree        CBOR and DER as one tree that can be changed and written again
    mutation    changes of one tree: what an attacker would try, lengths repaired or not
    seals       signatures at the price of a hash, behind the verifier's seam for cryptography
    signatures  real ones, each checked once
    bases       good documents with such seals, and what a verifier says of them
    oracle      the same questions put to cbor2 and to the cryptography package

What judges an answer is the oracle; no reader of ours judges another.
"""
