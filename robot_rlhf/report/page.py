"""RUN/report.html: one file that a person opens, on or off line, to see how a run went.

The page asks no network for anything, and its content security policy forbids it to. Whatever comes
from the run is escaped. What a run does not have is said in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median

from robot_rlhf.feedback.types import Kind
from robot_rlhf.report import plots
from robot_rlhf.report.data import RunData, read_run
from robot_rlhf.report.files import REPORT, write_atomically
from robot_rlhf.report.markup import document, facts, figure, film, interval_bar, missing, section, table
from robot_rlhf.report.metrics import Candidate, Evaluated, HeldOut, KindFit, RewardFitted, SacUpdated
from robot_rlhf.report.pictures import Picture
from robot_rlhf.report.statistics import correlation, wilson

CANDIDATES: Mapping[Candidate, str] = {
    "policy": "Trained on all feedback",
    "clone": "Cloned, action chunks",
}


def write_report(
    run: Path,
    clips: Mapping[str, Sequence[Picture]] | None = None,
    predicted_returns: Mapping[int, float] | None = None,
) -> Path:
    """Write RUN/report.html from what the folder holds and return its path.

    `clips` are frames (height, width, 3) uint8 by name, 'best' and 'worst'; `predicted_returns` is the
    reward model's return of episodes by their id, to be set against the simulation's. Raises what
    `read_run` raises; an older report stays until the new one is whole.
    """
    path = run / REPORT
    write_atomically(path, render(read_run(run, clips, predicted_returns)).encode("utf-8"))
    return path


def render(data: RunData) -> str:
    """The whole page."""
    sections = [
        _cloning(data),
        _success(data),
        _clips(data),
        _feedback(data),
        _reward_model(data),
        _policy(data),
        _configuration(data),
    ]
    closing = f"Run {data.name}. This page holds all that it shows and loads nothing."
    return document(_where(data), _headline(data), sections, closing)


def _headline(data: RunData) -> str:
    verdict = data.records.verdict("policy")
    summary = data.summary
    unfinished = "This run has not finished: it has no summary yet."
    if summary is not None:
        what = (
            "fresh starts succeed" if summary.judged_by == "task" else "the episodes it drove alone succeeded"
        )
        claim = f"{summary.success_rate:.0%} of {what}" if summary.episodes else "Driven alone, never marked"
        successes = round(summary.success_rate * summary.episodes)
        lead = _interval(successes, summary.episodes, summary.wilson_low, summary.wilson_high)
    elif verdict is not None:
        claim = f"{verdict.successes / verdict.episodes:.0%} of fresh starts succeed so far"
        low, high = wilson(verdict.successes, verdict.episodes)
        lead = f"{_interval(verdict.successes, verdict.episodes, low, high)} {unfinished}"
    else:
        claim, lead = "Not evaluated yet", unfinished
    at = summary or data.records.moment
    numbers = ""
    if at is not None:
        minutes = {
            "Operator, active": f"{at.operator_seconds / 60:.1f}",
            "Operator, attending": f"{at.attended_seconds / 60:.1f}",
            "Wall time": f"{at.wall_seconds / 60:.1f}",
        }
        steps = facts({"Environment": f"{at.environment_steps:,}"}, "steps")
        numbers = f'<dl class="facts">{facts(minutes, "min")}{steps}</dl>'
    where = escape(f"{_where(data)}, run {data.name}")
    return f'<p class="eyebrow">{where}</p><h1>{claim}</h1><p class="lead">{lead}</p>{numbers}'


def _interval(successes: int, episodes: int, low: float, high: float) -> str:
    return f"{successes} of {episodes} autonomous episodes; 95% Wilson interval {low:.0%} to {high:.0%}."


def _cloning(data: RunData) -> str:
    verdicts = {candidate: data.records.verdict(candidate) for candidate in CANDIDATES}
    rows = [_candidate(CANDIDATES[candidate], verdict) for candidate, verdict in verdicts.items()]
    rates = {candidate: v.successes / v.episodes for candidate, v in verdicts.items() if v is not None}
    about = "Cloning has the same demonstrations and nothing else. Success is autonomous, from fresh starts."
    if "policy" in rates and "clone" in rates:
        points = round(100 * (rates["policy"] - rates["clone"]))
        about += f" All that came after them changed success by {points:+d} points over the clone."
    head = ("Policy", "", "Success", "95% interval", "Episodes", "Mean length")
    return section("What the feedback added", about, table(head, rows, strong=0))


def _candidate(name: str, verdict: Evaluated | None) -> list[str]:
    if verdict is None:
        return [name, "", '<span class="missing">not evaluated</span>', "", "", ""]
    rate = verdict.successes / verdict.episodes
    low, high = wilson(verdict.successes, verdict.episodes)
    return [
        name if verdict.final else f"{name}, so far",
        interval_bar(rate, low, high),
        f"{rate:.0%}",
        f"{low:.0%} to {high:.0%}",
        f"{verdict.episodes:,}",
        f"{verdict.mean_length:.0f} steps",
    ]


def _success(data: RunData) -> str:
    absent = "No evaluation and no marked training episode has been recorded yet."
    by_steps = figure("Against environment steps", plots.success(data.records, "environment_steps"), absent)
    by_minutes = figure("Against operator time", plots.success(data.records, "operator_minutes"), absent)
    about = "Autonomous evaluation, apart from training episodes, in which the operator may take over."
    return section("Success over the run", about, f'<div class="plots">{by_steps}{by_minutes}</div>')


def _feedback(data: RunData) -> str:
    stored = {kind: len(times) for kind, times in data.feedback_minutes.items()}
    counts = data.summary.feedback if data.summary else stored
    if counts:
        given = facts({kind.value.capitalize(): f"{counts.get(kind, 0):,}" for kind in Kind})
        body = f'<dl class="facts">{given}</dl>'
    else:
        body = missing("No feedback has been stored yet.")
    over_time = figure("Given over time", plots.feedback(data.feedback_minutes), "No feedback is stored.")
    drove = figure("Who drove", plots.operator_share(data.records), "No training episode is recorded yet.")
    body += f'<div class="plots">{over_time}{drove}</div>'
    if data.operator_time:
        rows = [
            (escape(activity.replace("_", " ")), f"{time.active_s / 60:.2f}", f"{time.attended_s / 60:.2f}")
            for activity, time in data.operator_time.items()
        ]
        body += "<h3>Where the operator’s time went</h3>"
        body += table(("Activity", "Active, min", "Attending, min"), rows)
    else:
        body += missing("No operator time has been booked.")
    return section("Feedback", "What the operator said and did, by kind.", body)


def _reward_model(data: RunData) -> str:
    fit = data.records.last(RewardFitted)
    unfitted = "No fit of the reward model has been recorded yet."
    unheld = unfitted if fit is None else "No feedback was held out to measure this."
    figures = (
        figure("Likelihood", plots.reward_likelihood(data.records), unfitted, "Lower is better."),
        figure("Accuracy", plots.reward_accuracy(data.records), unheld, "On feedback it was not fitted on."),
        figure(
            "Calibration",
            plots.calibration(fit.heldout if fit else None),
            unheld,
            "Newest fit. On the dashed line it is right as often as it is sure.",
        ),
        figure(
            "Predicted against true return",
            plots.returns(data.returns),
            "No episode has both a predicted return and one that the simulation knows.",
            _agreement(data),
        ),
    )
    about = (
        "One reward function for all kinds of feedback. The true return is known to the simulation alone: "
        "it is looked at here and never learned from."
    )
    plotted = f'<div class="plots">{"".join(figures)}</div>'
    return section("Reward model", about, f"{_fit_table(fit)}{plotted}{_operators(fit, data)}")


def _fit_table(fit: RewardFitted | None) -> str:
    if fit is None:
        return ""
    kinds = fit.kinds.items()
    rows = [[kind.value, f"{fitted.count:,}", *_scores(fitted)] for kind, fitted in kinds]
    total = sum(fitted.count for _, fitted in kinds)
    rows.append(["all kinds", f"{total:,}", *_scores(fit.heldout)])
    head = (f"Fit {fit.version}, held out", "Events", "Accuracy", "Neg. log-likelihood", "Calibration error")
    return table(head, rows, strong=len(rows) - 1)


def _operators(fit: RewardFitted | None, data: RunData) -> str:
    """What the fit believes of each operator, and how far they agree with themselves."""
    believed = {} if fit is None else fit.operators
    names = sorted(believed.keys() | data.asked_twice.keys())
    if not names:
        return ""
    kinds = sorted({kind for belief in believed.values() for kind in belief.rationality})
    rows = []
    for name in names:
        twice, belief = data.asked_twice.get(name, ()), believed.get(name)
        same = f"{sum(twice)} of {len(twice)}" if twice else '<span class="missing">not asked</span>'
        rational = ["" if belief is None else f"{belief.rationality[kind]:.2f}" for kind in kinds]
        rest = ["", "", ""]
        if belief is not None:
            rest = [f"{belief.tie:.2f}", f"{belief.leaning:+.2f}", f"{belief.lapse:.0%}"]
        rows.append([escape(name), same, *rational, *rest])
    head = ("Operator", "Same answer when asked twice", *(kind.replace("_", ", ") for kind in kinds),
            "calls equal", "leans to good", "at random")  # fmt: skip
    said = (
        "Rationality by kind: how sharply what they do follows the reward, so larger is more reliable. "
        "Preferences have 1 by definition. A kind they never gave stays where it starts. At random: the "
        "share of answers, presses and marks that follow nothing."
    )
    shown = f"<h3>The operators, as the reward model sees them</h3><p>{said}</p>{table(head, rows)}"
    return f"{shown}{_between(data)}"


def _between(data: RunData) -> str:
    """How far operators agree with each other."""
    rows = [
        [
            f"{escape(one)} and {escape(other)}",
            f"{sum(alike)} of {len(alike)}",
            f"{sum(alike) / len(alike):.0%}",
        ]
        for (one, other), alike in sorted(data.asked_of_two.items())
    ]
    if not rows:
        return ""
    said = "Of the pairs that both compared: a share is asked of a second operator for that alone."
    head = ("Operators", "Same answer to the same pair", "Share")
    return f"<h3>Between operators</h3><p>{said}</p>{table(head, rows)}"


def _scores(kept: KindFit | HeldOut) -> list[str]:
    """Accuracy, likelihood and calibration error as cells."""
    absent = '<span class="missing">none</span>'
    accuracy = absent if kept.accuracy is None else f"{kept.accuracy:.0%}"
    rest = (absent if value is None else f"{value:.3f}" for value in (kept.nll, kept.calibration_error))
    return [accuracy, *rest]


def _agreement(data: RunData) -> str:
    r = correlation([pair.true for pair in data.returns], [pair.predicted for pair in data.returns])
    said = "no correlation is defined" if r is None else f"correlation {r:.2f}"
    return f"{len(data.returns)} episodes, {said}."


def _policy(data: RunData) -> str:
    curves = "".join(figure(caption, plot, "Not recorded.") for caption, plot in plots.sac(data.records))
    body = f'<div class="plots small">{curves}</div>' if curves else missing("No update is recorded yet.")
    rates = [u.updates_per_second for _, u in data.records.of(SacUpdated) if u.updates_per_second is not None]
    about = "Soft actor-critic on the learned reward."
    if rates:
        about += f" {median(rates):.0f} gradient updates a second, by the median."
    return section("Policy learning", about, body)


def _clips(data: RunData) -> str:
    strips = "".join(film(name, frames) for name, frames in data.clips.items())
    body = strips or missing("No clip was rendered for this report.")
    return section(
        "Best and worst clip",
        "By the operator's mark, then by the reward model; time runs from left to right.",
        body,
    )


def _configuration(data: RunData) -> str:
    if data.config_toml is None:
        config = missing("The run folder holds no config.toml.")
    else:
        config = f"<pre>{escape(data.config_toml)}</pre>"
    if data.summary is None:
        versions = missing("The versions are written down when the run finishes.")
    else:
        pairs = data.summary.versions.items()
        listed = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in pairs)
        versions = f'<dl class="versions">{listed}</dl>'
    return section("Configuration", f"{_where(data)}.", f"{config}<h3>Versions</h3>{versions}")


def _where(data: RunData) -> str:
    task = "Task unknown" if data.task is None else f"Task {data.task}"
    return f"{task}, seed {'unknown' if data.seed is None else data.seed}"
