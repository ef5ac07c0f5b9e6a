"""The training report: one HTML file without any other file or network, kept in each SAE artifact.

It plots with uPlot 1.6.32 (MIT, uplot.LICENSE), which lies beside this file because nobody ships it as a wheel. A page
takes some 60 kB and its curves; with plotly's bundle every SAE of a sweep would carry 4.8 MB.
"""

from mistudio_trainer.report.job_report import REPORT_NAME, JobReport
from mistudio_trainer.report.subject import ReportedSae

__all__ = ["REPORT_NAME", "JobReport", "ReportedSae"]
