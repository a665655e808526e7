"""Which limits a request meets, what it may take from them at most, and what it gives back."""

from llm_service.admission.admission import Admission
from llm_service.admission.admitted import FREE, Admitted, Foreseen
from llm_service.admission.arrears import Arrears
from llm_service.admission.attempt import LEAST_CAP
from llm_service.admission.facts import Facts, WorstCase
from llm_service.admission.gate import Gate, Held
from llm_service.admission.lost import Lost
from llm_service.admission.options import AllowanceOptions, LimitsOptions
from llm_service.admission.pulse import Pulse
from llm_service.admission.rules import Plan, Rules, limits_of
from llm_service.admission.size import Size, asked_cap, choices

__all__ = [
    "FREE",
    "LEAST_CAP",
    "Admission",
    "Admitted",
    "AllowanceOptions",
    "Arrears",
    "Facts",
    "Foreseen",
    "Gate",
    "Held",
    "LimitsOptions",
    "Lost",
    "Plan",
    "Pulse",
    "Rules",
    "Size",
    "WorstCase",
    "asked_cap",
    "choices",
    "limits_of",
]
