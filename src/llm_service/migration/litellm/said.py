"""What is to be said of an entry of ``model_list`` once it is known what its provider is called."""

from llm_service.domain import fact
from llm_service.migration.report import Outcome, Report
from llm_service.migration.source import Found


@fact
class Said:
    """As ``Report`` takes it; in ``to`` stand ``{provider}`` and ``{model}`` for their names."""

    found: Found
    outcome: Outcome
    to: str = ""
    message: str = ""

    def tell(self, report: Report, *, provider: str, model: str) -> None:
        """Say it."""
        to = self.to.replace("{provider}", provider).replace("{model}", model)
        match self.outcome:
            case Outcome.CARRIED:
                report.carried(self.found, to, self.message)
            case Outcome.CHANGED:
                report.changed(self.found, to, self.message, whole=True)
            case Outcome.LOST:
                report.lost(self.found, self.message)
