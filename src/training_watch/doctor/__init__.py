"""`doctor`: everything that would stop a training tonight, each with its mend.

    facts        what is asked of the system once: configuration, units as they are loaded, the daemon's report
    trying       a command, executed where the unit would execute it
    manager, units, program, tree, records, machine      the checks, by what they look at
    examination  the table of all checks, and the loop over it
    telling      findings → a screen, and JSON

It only looks: nothing is repaired, set aside, started or made.
"""

from training_watch.doctor.examination import examine
from training_watch.doctor.findings import Finding, Verdict
from training_watch.doctor.telling import as_json, as_lines

__all__ = ["Finding", "Verdict", "as_json", "as_lines", "examine"]
