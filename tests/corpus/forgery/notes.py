"""What goes wrong in the field: each note says the mistake, what it gives away, and where it was
seen.

A case refers to the notes whose mistake it catches. Most notes come from public reports about
verifiers and simulators of this very format; where nobody reported one, it is said why it matters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One kind of mistake.

    Attributes:
        bug: what a verifier does wrong.
        effect: what an attacker, or an honest user, gets from it.
        seen: public places where it happened: CVE numbers, issues as owner/repository#number.

    """

    bug: str
    effect: str
    seen: tuple[str, ...] = ()


NOTES: dict[str, Note] = {
    # Bytes and CBOR
    "input-form": Note(
        "Input is guessed, padded, truncated or read only in part.",
        "Several strings of bytes count as the same document; what follows it goes unseen.",
        ("base/nitro-validator#34", "agronholm/cbor2#283"),
    ),
    "limits": Note(
        "Counts, lengths and nesting are believed before they are compared with the data.",
        "A few bytes exhaust memory or the stack: denial of service.",
        ("base/nitro-validator#40", "base/nitro-validator#48"),
    ),
    "duplicate-key": Note(
        "The same map key twice: one of the two wins silently.",
        "Two readers of one signed document see different PCRs, certificates or nonces.",
        ("base/nitro-validator#36",),
    ),
    "loose-types": Note(
        "1, 1.0, true and tagged numbers, or bytes and text, are taken for one another.",
        "Comparisons are made with values that were never there; decoders build objects that "
        "an attacker chose.",
    ),
    "indefinite-length": Note(
        "Only definite containers are expected, or the break of an inner one ends the outer.",
        "All documents since 2025 are refused, or fields after a forged break are ignored.",
        ("base/nitro-validator#23", "base/nitro-validator#24", "base/nitro-validator#32"),
    ),
    "null-or-missing": Note(
        "null, a missing key and an empty byte string are mixed up.",
        "Real documents are refused, or an empty value passes for an absent one.",
        ("hf/nitrite#1", "worldcoin/world-chain#1050"),
    ),
    "field-sizes": Note(
        "Lengths are bounded below what the module signs.",
        "Legal documents with long nonces, user data or keys are refused.",
        ("hf/nitrite#3", "hf/nitrite#5"),
    ),
    "fixed-layout": Note(
        "Exactly 16 PCRs, contiguous indices, fixed offsets or one order of fields are assumed.",
        "Documents of enclaves that lock registers of their own are refused or misread.",
        ("base/base",),
    ),
    # COSE
    "algorithm-confusion": Note(
        "Curve, hash or algorithm are taken from the message or the certificate.",
        "The attacker chooses the weakest one that the library knows.",
        ("hf/nitrite",),
    ),
    "unprotected-header": Note(
        "Something is read from the header that nobody signs.",
        "Key and algorithm hints can be replaced at will.",
    ),
    "signature-form": Note(
        "DER signatures, or numbers out of range, are accepted.",
        "Signatures of zeros verified under every key in a well-known Java release; different "
        "encodings pass for different documents.",
        ("CVE-2022-21449", "UTEXO enclave-signer#126"),
    ),
    "malleability": Note(
        "A signature, or a hash over the whole document, serves to recognise a replay; or only "
        "one half of s is accepted.",
        "Anybody can turn (r, s) into (r, n - s): the replay looks new. AWS emits both halves.",
    ),
    "encoded-again": Note(
        "The signature is checked over a payload that the verifier encoded itself.",
        "Real documents fail, or something else than what was read counts as signed.",
    ),
    # Certificates
    "der-strictness": Note(
        "Certificates are read liberally: longer lengths, other tags, bytes left over.",
        "Two readers see two certificates, and what one of them skips can hold anything.",
        ("base/nitro-validator",),
    ),
    "real-profile": Note(
        "General profiles are demanded: key identifiers, critical keyUsage, extended key "
        "usage, serial numbers of at most 20 octets.",
        "All genuine AWS chains are refused (openssl verify -x509_strict does).",
    ),
    "bundle-order": Note(
        "The bundle is read leaf first, the last entry is the root, or any order will do.",
        "Every real document is refused; certificates that are not part of the chain are trusted.",
        ("worldcoin/world-chain#956",),
    ),
    "self-signed-substitute": Note(
        "The document brings its own trust anchor: its root, or any entry of its bundle.",
        "Anybody can issue documents.",
        ("EternisAI/remote-attestation-verifier",),
    ),
    "false-root": Note(
        "A root is recognised by its name, serial number or key identifier.",
        "Look-alikes of the AWS root are in circulation: right subject, serial and signature, "
        "invented key.",
    ),
    "partition": Note(
        "Roots of all partitions are trusted at once, or none but the commercial one can be.",
        "Documents are accepted from where nobody expects them, or GovCloud cannot be used.",
    ),
    "ca-constraints": Note(
        "basicConstraints, path lengths or key usage are not enforced.",
        "Whoever has any key of the PKI, such as an enclave its own, can issue identities.",
        ("UTEXO enclave-signer#126",),
    ),
    "critical-extension": Note(
        "Critical extensions that are not understood are ignored.",
        "A restriction of the issuer does not restrict.",
        ("base/nitro-validator",),
    ),
    "mixed-identity": Note(
        "Certificate names, module_id and PCR4 are never compared.",
        "A genuine certificate of one machine stands in the document of another.",
        ("Dstack-TEE/dstack#1302",),
    ),
    "chain-cache": Note(
        "Verified certificates are cached without the end of their validity, or of an issuer's.",
        "A chain whose issuer has expired since is still accepted.",
        ("base/base#1972",),
    ),
    "revocation": Note(
        "A revocation list is ignored, or one that nobody signed is believed.",
        "Revoked certificates pass, or anybody can revoke.",
    ),
    # Time
    "no-validity-check": Note(
        "The validity of certificates is not checked, or not of all of them.",
        "Documents of keys that have long been retired are accepted.",
        ("MystenLabs/hashi#832",),
    ),
    "wrong-clock": Note(
        "Archived documents are judged now, or live ones at their own timestamp.",
        "Archives become unverifiable after three hours; or documents months old pass as fresh.",
        ("MystenLabs/hashi#832", "aptos-labs/aptos-core#20103"),
    ),
    "clock-skew": Note(
        "No leeway at the begin of validity, or expired and not yet valid are reported alike.",
        "Leaves are back-dated by three seconds only: a verifier a little slow refuses "
        "fresh documents, and nobody sees why.",
        ("MaplePrivacyLabs/Maple#936",),
    ),
    # Policy
    "absent-pcr": Note(
        "A PCR that is absent or empty compares as equal.",
        "Any document without that PCR passes, whatever runs in the enclave.",
        ("CVE-2025-64186",),
    ),
    "no-pcr-policy": Note(
        "Without expected PCRs the comparison is skipped.",
        "The root is the same for all customers of AWS: anybody's enclave passes.",
        ("privkeyio/keep#577", "reclaimprotocol/attestor-core#52"),
    ),
    "debug-mode": Note(
        "All-zero PCRs are compared like any other value, often with an empty configuration.",
        "Debug-mode enclaves pass, whose memory and console the parent instance can read.",
        ("base/base#4042", "smartcontractkit/chainlink-common#2196", "privkeyio/keep#717"),
    ),
    "one-pcr-only": Note(
        "Only PCR0, or only PCR8, is compared.",
        "PCRs hash plain concatenations: bytes can move between sections unseen. PCR8 alone "
        "accepts every image ever signed, and a zero one every unsigned image.",
    ),
    "user-pcr": Note(
        "PCR 16 to 31 are taken for measurements of the launch.",
        "The program in the enclave writes them itself.",
    ),
    "nitrotpm": Note(
        "NitroTPM documents are taken for enclave documents.",
        "Same root, but the guest can extend the registers: any value can be made.",
    ),
    "binding": Note(
        "nonce, user_data or public_key are not compared, compared only if present, or "
        "reflected from the document.",
        "A document made for another conversation, or an old one, passes.",
        ("MystenLabs/hashi#705", "tkhq/qos#757"),
    ),
    "instance-id-form": Note(
        "module_id is compared with the id that nitro-cli prints, which lacks the leading zero.",
        "Genuine documents are refused, or comparisons are loosened until anything matches.",
    ),
    # Simulators
    "unsigned": Note(
        "A document without a signature (as the QEMU nitro-enclave machine makes) is accepted.",
        "A switch for tests reaches production, and everybody can write documents.",
        ("near/mpc#2260", "Dstack-TEE/dstack#563"),
    ),
}
