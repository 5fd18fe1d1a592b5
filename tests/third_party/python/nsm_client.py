"""Use every function of aws-nsm-interface, as an application would: `nsm_client.py NONCEHEX`."""

import sys

import aws_nsm_interface as nsm

device = nsm.open_nsm_device()
described = nsm.describe_nsm(device)
print("module", described["module_id"], described["max_pcrs"], described["digest"])
print("locked", *described["locked_pcrs"])
print("random", nsm.get_random(device, 256).hex())
print("extended", nsm.extend_pcr(device, 16, b"third-party")["data"].hex())
print("lock", nsm.lock_pcr(device, 16))
register = nsm.describe_pcr(device, 16)
print("pcr", register["lock"], register["data"].hex())
try:
    nsm.extend_pcr(device, 16, b"again")
except nsm.IoctlError as error:
    print("extend when locked:", error)
print("lock all", nsm.lock_pcrs(device, 32))
print("locked", *nsm.describe_nsm(device)["locked_pcrs"])
document = nsm.get_attestation_doc(
    device, user_data=b"user data", nonce=bytes.fromhex(sys.argv[1]), public_key=b"a key"
)["document"]
print("document", document.hex(), flush=True)
nsm.close_nsm_device(device)
