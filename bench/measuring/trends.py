"""Whether something grows: a straight line through figures over time, and how sure its slope is."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final, NamedTuple

SPANS: Final = 12
STUDENT_T: Final = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}
"""The quantile of 97.5 % by degrees of freedom."""


class Trend(NamedTuple):
    """A slope by unit of time, the ends of its confidence interval of 95 %, and the line's value at its beginning."""

    slope: float
    low: float
    high: float
    begins: float

    @property
    def is_flat(self) -> bool:
        """Whether no growth is within the interval."""
        return self.low <= 0 <= self.high


def trend(times: Sequence[float], values: Sequence[float], *, spans: int = SPANS) -> Trend:
    """The line through the means of so many equal spans of time.

    Samples of memory that follow each other are nearly the same figure twice: an interval that took each for news would
    be far too narrow. Means of spans that are longer than any ripple are as good as independent.
    """
    means = [mean for mean in span_means(times, values, spans=spans) if mean is not None]
    freedom = len(means) - 2
    if freedom not in STUDENT_T:
        raise ValueError(f"{len(means)} spans have figures: 4 to {max(STUDENT_T) + 2} are needed")
    middle_time, middle = fmean(at for at, _ in means), fmean(value for _, value in means)
    width = sum((at - middle_time) ** 2 for at, _ in means)
    slope = sum((at - middle_time) * (value - middle) for at, value in means) / width
    rest = sum((value - middle - slope * (at - middle_time)) ** 2 for at, value in means)
    reach = STUDENT_T[freedom] * (rest / freedom / width) ** 0.5
    return Trend(slope, slope - reach, slope + reach, middle + slope * (times[0] - middle_time))


def span_means(times: Sequence[float], values: Sequence[float], *, spans: int) -> list[tuple[float, float] | None]:
    """Time and value in the mean of each of so many equal spans; None for one without a figure."""
    length = (times[-1] - times[0]) / spans or 1.0
    found: list[list[tuple[float, float]]] = [[] for _ in range(spans)]
    for at, value in zip(times, values, strict=True):
        found[min(spans - 1, int((at - times[0]) / length))].append((at, value))
    return [(fmean(at for at, _ in span), fmean(value for _, value in span)) if span else None for span in found]
