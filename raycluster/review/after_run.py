"""The report that closes every run.

Whatever goes wrong here, the run is done and stays so.
"""

import sys

from raycluster.errors import ConfigError
from raycluster.pipeline.results import Results
from raycluster.review.report import PATH, ReportOptions, report
from raycluster.storage.free_memory import available_bytes

BYTES_PER_ROW = 150
"""Memory per row of making a report, measured on 3 million rows with integer ids: 110. Long ids take more."""


def report_line(url: str) -> str | None:
    """Make the report of a run that has none; returns a line on it for people.

    A run that was complete before keeps its report, which may show pictures. Failures are one line on stderr.
    """
    try:
        results = Results.of(url)
        if results.store.get(PATH) is not None:
            return f"The report is {results.store.name(PATH)}."
        needed = BYTES_PER_ROW * sum(part["rows"] for part in results.manifest["labels"])
        if needed > available_bytes() / 2:
            gibs = needed / 2**30
            raise ConfigError(
                f"It needs about {gibs:.1f} GiB of memory; raycluster report makes it on another machine."
            )
        made = report(url, ReportOptions())
    except ConfigError as error:
        print(f"no report: {error}", file=sys.stderr, flush=True)
    except Exception as error:  # labels are published: a chart may fail and the run may not
        what = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"no report: {what}; raycluster report {url} tries again", file=sys.stderr, flush=True)
    else:
        return f"The report is {made['report']}."
    return None
