"""What the doors call: the data plane and the control plane."""

from llm_service.services.authenticator import LOCAL_KEY, Authenticator
from llm_service.services.gateway import Gateway
from llm_service.services.hash_key import HASH_KEY_FILE, HashKeyError, HashKeys, check_hash_keys, hash_keys_of
from llm_service.services.health import Health
from llm_service.services.issued_keys import IssuedKeys
from llm_service.services.key_changes import KEYS_TOPIC, KeyChanges
from llm_service.services.key_fields import key_object
from llm_service.services.keys import OVERLAP_S, Issued, KeyPage, Keys
from llm_service.services.models import ModelEntry, Models

__all__ = [
    "HASH_KEY_FILE",
    "KEYS_TOPIC",
    "LOCAL_KEY",
    "OVERLAP_S",
    "Authenticator",
    "Gateway",
    "HashKeyError",
    "HashKeys",
    "Health",
    "Issued",
    "IssuedKeys",
    "KeyChanges",
    "KeyPage",
    "Keys",
    "ModelEntry",
    "Models",
    "check_hash_keys",
    "hash_keys_of",
    "key_object",
]
