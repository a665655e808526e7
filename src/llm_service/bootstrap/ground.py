"""What one generation of the service stands on."""

import random

from llm_service.bootstrap.stores import Stores
from llm_service.config import Settings
from llm_service.domain import fact
from llm_service.observability import Log
from llm_service.runtime import Clock, IdSource, Tasks


@fact
class Ground:
    """What is given to whatever is built for these settings. ``sandbox``: its providers are simulated."""

    settings: Settings
    stores: Stores
    sandbox: bool
    clock: Clock
    ids: IdSource
    dice: random.Random
    tasks: Tasks
    log: Log
