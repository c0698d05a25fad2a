"""Papers for households and villages: the monthly statement, the notice board's sheet, and the slip with a PIN.

They are in Chinese whoever prints them. Letters are large: the readers are old, and the printer is the village's.
"""

from payouts.papers.months import Month
from payouts.papers.notices import notice_pdf
from payouts.papers.slips import slip_pdf
from payouts.papers.statements import statements_pdf

__all__ = ["Month", "notice_pdf", "slip_pdf", "statements_pdf"]
