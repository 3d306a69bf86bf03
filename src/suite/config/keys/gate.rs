//! `[gate]` and `[[accept]]`.

use super::{
    Section,
    Takes::{
        self, Choice, Count, Date, Duration, DurationOrZero, Other, Percent, Size, SizeOrZero, Text,
    },
    Unset::{Is, Means, Nothing, Required},
    key,
};
use crate::suite::AcceptedMetric;

const TOLERANCE: Takes = Percent(1, 1_000);

pub(super) const GATE: Section = Section {
    head: "[gate]",
    place: "[gate]",
    about: "What decides; [decision.md](decision.md) has the rule.",
    keys: &[
        key(
            "tolerance",
            Takes::Section("[gate.tolerance]"),
            Nothing,
            "How much worse a figure may get. Both this and the floor must be exceeded.",
        ),
        key(
            "floor",
            Takes::Section("[gate.floor]"),
            Nothing,
            "The change below which nothing is a regression.",
        ),
        key(
            "budget",
            Takes::Section("[gate.budget]"),
            Nothing,
            "Limits that hold whatever the baseline says.",
        ),
        key(
            "inconclusive",
            Choice(&["pass", "warn", "fail"]),
            Is("\"warn\""),
            "What is made of evidence that does not decide; `fail`: exit code 4.",
        ),
        key(
            "baseline-jobs",
            Count(1, 50),
            Means("5"),
            "Jobs that a baseline keeps.",
        ),
    ],
};

pub(super) const TOLERANCES: Section = Section {
    head: "[gate.tolerance]",
    place: "`tolerance`",
    about: "By metric; of latency and start-up the adjusted time where that gates, else wall time.",
    keys: &[
        key(
            "latency_p50",
            TOLERANCE,
            Is("\"20%\""),
            "Median of a call's latency.",
        ),
        key(
            "latency_p95",
            TOLERANCE,
            Is("\"20%\""),
            "95th percentile of a call's latency.",
        ),
        key(
            "throughput",
            TOLERANCE,
            Is("\"20%\""),
            "Calls per second in `TOOL/concurrent`.",
        ),
        key(
            "startup",
            TOLERANCE,
            Is("\"20%\""),
            "From the start to the first answer.",
        ),
        key(
            "peak_memory",
            TOLERANCE,
            Is("\"20%\""),
            "Most memory of the process tree.",
        ),
    ],
};

pub(super) const FLOORS: Section = Section {
    head: "[gate.floor]",
    place: "`floor`",
    about: "By metric.",
    keys: &[
        key(
            "latency_p50",
            DurationOrZero,
            Is("\"250us\""),
            "Median of a call's latency.",
        ),
        key(
            "latency_p95",
            DurationOrZero,
            Is("\"1ms\""),
            "95th percentile of a call's latency.",
        ),
        key(
            "startup",
            DurationOrZero,
            Is("\"50ms\""),
            "From the start to the first answer.",
        ),
        key(
            "peak_memory",
            SizeOrZero,
            Is("\"1MB\""),
            "Most memory of the process tree.",
        ),
        key(
            "memory_growth_per_1000_calls",
            SizeOrZero,
            Is("\"5MB\""),
            "How much faster than the base's memory may grow.",
        ),
    ],
};

pub(super) const BUDGETS: Section = Section {
    head: "[gate.budget]",
    place: "`budget`",
    about: "By metric; one that is broken fails. What is not set has, for error rate, latency and memory growth, a default that [decision.md](decision.md) tells.",
    keys: &[
        key(
            "error_rate",
            Percent(0, 100),
            Means("1 %, which fails"),
            "Calls that failed.",
        ),
        key(
            "latency_p50",
            Duration,
            Means("by the tool's kind, warns"),
            "Median of a call's latency.",
        ),
        key(
            "latency_p95",
            Duration,
            Means("by the tool's kind, warns"),
            "95th percentile of a call's latency.",
        ),
        key(
            "startup",
            Duration,
            Nothing,
            "From the start to the first answer.",
        ),
        key(
            "peak_memory",
            Size,
            Nothing,
            "Most memory of the process tree.",
        ),
        key(
            "memory_growth_per_1000_calls",
            Size,
            Means("warns"),
            "How fast memory may grow.",
        ),
    ],
};

pub(super) const ACCEPT: Section = Section {
    head: "[[accept]]",
    place: "[[accept]]",
    about: "A regression that is worth it, read from the change itself; [github.md](github.md#an-accepted-regression) has the whole.",
    keys: &[
        key(
            "scenario",
            Text,
            Required,
            "As the report names it; `server` for start-up and peak memory; a tool for `removed` and for failure modes.",
        ),
        key(
            "metric",
            Choice(&AcceptedMetric::NAMES),
            Required,
            "What may be worse, or be there.",
        ),
        key(
            "limit",
            Other("a duration, a size, or calls per second, as the metric is"),
            Required,
            "What it may reach; not with `removed` and failure modes.",
        ),
        key("reason", Text, Required, "Why; the report shows it."),
        key("until", Date, Required, "Last day on which it holds."),
    ],
};
