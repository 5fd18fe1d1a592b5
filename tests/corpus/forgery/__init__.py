"""Makes the attestation documents in `fixtures/attestation`: good ones, and hostile ones.

Every document is wrong in exactly one way (or right in an unusual one) and otherwise
perfect: correctly signed, by a chain of the real shape, under a root whose key anybody can
derive. Nothing here shares code with the verifier, and nothing here is shipped::

    der, cbor       writers that can express any malformation, because they check nothing
    keys            keys derived from names, signatures without randomness
    certificates    one certificate: a plan, and edits of its parts before and after signing
    chains          the five levels of a real chain
    forge           `Forge`: the editor that puts documents together
    case            what a case is: the register, the decorators
    cases/          the cases, a module per part of the document; the function is the case
    notes           what goes wrong in the field: slugs that cases refer to
    library         all of it as files and an index; `python -m forgery` writes or checks them

Keys, serial numbers and ids come from the name of the case, and ECDSA is deterministic
(RFC 6979): making the corpus again gives the same bytes.
"""
