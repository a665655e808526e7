"""What the process is given: time, ids, owned background work, its data directory."""

from llm_service.runtime.clock import Clock, SystemClock, TimerHandle
from llm_service.runtime.data_dir import (
    DataDir,
    DataDirError,
    default_data_dir,
    has_been_served,
    open_data_dir,
    prepare_data_dir,
    sync_folder,
)
from llm_service.runtime.descriptors import raise_descriptors, room_for_connections
from llm_service.runtime.ids import IdSource, RandomIds, system_random
from llm_service.runtime.machine import host_name, is_root, machine_of, user_name
from llm_service.runtime.memory import give_back, keep_memory_low, lasting, settle_memory
from llm_service.runtime.patience import Patience
from llm_service.runtime.pressure import Figures, Pressure
from llm_service.runtime.signals import Stop
from llm_service.runtime.tally import Tally
from llm_service.runtime.tasks import DONE, Done, OnFailure, Rest, Tasks, begin
from llm_service.runtime.terminal import Terminal
from llm_service.runtime.turn import Turn, TurnTransport
from llm_service.runtime.waits import Waits
from llm_service.runtime.whole_file import written_whole

__all__ = [
    "DONE",
    "Clock",
    "DataDir",
    "DataDirError",
    "Done",
    "Figures",
    "IdSource",
    "OnFailure",
    "Patience",
    "Pressure",
    "RandomIds",
    "Rest",
    "Stop",
    "SystemClock",
    "Tally",
    "Tasks",
    "Terminal",
    "TimerHandle",
    "Turn",
    "TurnTransport",
    "Waits",
    "begin",
    "default_data_dir",
    "give_back",
    "has_been_served",
    "host_name",
    "is_root",
    "keep_memory_low",
    "lasting",
    "machine_of",
    "open_data_dir",
    "prepare_data_dir",
    "raise_descriptors",
    "room_for_connections",
    "settle_memory",
    "sync_folder",
    "system_random",
    "user_name",
    "written_whole",
]
