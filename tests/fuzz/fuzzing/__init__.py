"""What the fuzz targets share. Nothing here uses a reader of ours to judge our readers::

library   what of the corpus serves as seeds
tree      CBOR and DER as one tree that can be changed and written again
mutation  changes of one tree: what an attacker would try, lengths repaired or not
seals     signatures at the price of a hash, behind the verifier's seam for cryptography
oracle    the same questions put to cbor2 and to the cryptography package
"""
