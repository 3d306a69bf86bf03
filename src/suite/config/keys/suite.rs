//! `[probes]`, `[suite]` and `[[scenario]]`.

use super::{
    Section,
    Takes::{self, Choice, Count, Duration, DurationOrZero, Other, Text},
    Unset::{Is, Means, Nothing, Required},
    key,
};

const WHEN: Takes = Choice(&["on", "nightly", "off"]);

pub(super) const PROBES: Section = Section {
    head: "[probes]",
    place: "[probes]",
    about: "Each probe is `on`, `nightly` (in the deep suite only) or `off`; not named, it is made in the standard suite and the deep one, against a server that mcpgate started. [diagnoses.md](diagnoses.md) has what they find.",
    keys: &[
        key(
            "first-call",
            WHEN,
            Nothing,
            "A first call that pays for what the start left undone.",
        ),
        key("idle", WHEN, Nothing, "CPU time while nothing is asked."),
        key(
            "refusals",
            WHEN,
            Nothing,
            "Errors that take longer than answers.",
        ),
        key(
            "beside",
            WHEN,
            Nothing,
            "A cheap request that waits for a slow tool.",
        ),
        key(
            "tokens",
            WHEN,
            Nothing,
            "Answers that belong to another call.",
        ),
        key(
            "first-calls",
            WHEN,
            Nothing,
            "A server that hangs when its first calls come at once.",
        ),
        key(
            "aborts",
            WHEN,
            Nothing,
            "What is left of calls that were given up.",
        ),
        key("exit", WHEN, Nothing, "A server that does not leave."),
        key(
            "sessions",
            WHEN,
            Nothing,
            "Memory, descriptors and threads that sessions leave behind.",
        ),
        key(
            "open-sessions",
            WHEN,
            Nothing,
            "How many sessions can be open at once.",
        ),
        key(
            "large-answers",
            WHEN,
            Nothing,
            "Large answers that do not come, or hold up others; needs a tool with `grows-with`.",
        ),
        key(
            "writes",
            WHEN,
            Nothing,
            "Writes at once of which some are lost; needs a tool with `writes`.",
        ),
    ],
};

pub(super) const SUITE: Section = Section {
    head: "[suite]",
    place: "[suite]",
    about: "How much is measured.",
    keys: &[
        key(
            "size",
            Choice(&["quick", "standard", "deep"]),
            Is("\"standard\""),
            "`quick`: 5 rounds, no soak, no loads; `standard`: 10 rounds; `deep`: 20 rounds of 400 calls, a longer soak.",
        ),
        key(
            "rounds",
            Count(1, 200),
            Means("that of the size"),
            "Fresh servers.",
        ),
        key(
            "calls",
            Count(1, 100_000),
            Means("that of the size; more of a fast tool"),
            "Sequential calls of each tool a round.",
        ),
        key(
            "concurrency",
            Count(1, 1_000),
            Is("10"),
            "Calls in flight in `TOOL/concurrent`.",
        ),
        key(
            "sessions",
            Choice(&["each", "shared"]),
            Is("\"each\""),
            "Over HTTP: whether each caller has a session of its own.",
        ),
        key(
            "soak-calls",
            Count(0, 100_000),
            Means("that of the size"),
            "Calls on each server of the soak; 0: no soak.",
        ),
        key(
            "loads",
            Choice(&["standard", "none"]),
            Is("\"standard\""),
            "Whether the standard loads run.",
        ),
        key(
            "max-time",
            Duration,
            Is("\"10m\""),
            "Nothing is begun after it, and nothing goes on for a quarter longer.",
        ),
        key(
            "seed",
            Count(0, i64::MAX.unsigned_abs()),
            Is("1"),
            "Of everything random.",
        ),
    ],
};

pub(super) const SCENARIO: Section = Section {
    head: "[[scenario]]",
    place: "[[scenario]]",
    about: "A load of your own, in the words of k6; [loads.md](loads.md) says which keys each executor takes.",
    keys: &[
        key(
            "name",
            Text,
            Required,
            "Up to 64 letters, digits, `-`, `_` and `.`.",
        ),
        key(
            "tool",
            Text,
            Means("there are `tools`"),
            "The tool that is called.",
        ),
        key(
            "tools",
            Other("a table of whole numbers from 1 to 1,000"),
            Nothing,
            "Several, by weight: `{ search = 3, fetch = 1 }`.",
        ),
        key(
            "executor",
            Choice(&[
                "shared-iterations",
                "per-vu-iterations",
                "constant-vus",
                "ramping-vus",
                "constant-arrival-rate",
                "ramping-arrival-rate",
            ]),
            Required,
            "How the load is applied.",
        ),
        key("vus", Count(1, 1_000), Is("1"), "Virtual users."),
        key(
            "iterations",
            Count(1, 1_000_000),
            Required,
            "Calls, in all or of each virtual user.",
        ),
        key(
            "max-duration",
            Duration,
            Is("\"10m\""),
            "How long they may take.",
        ),
        key("duration", Duration, Required, "How long the load lasts."),
        key(
            "start-vus",
            Count(0, 1_000),
            Is("1"),
            "Virtual users at the beginning.",
        ),
        key(
            "stages",
            Takes::Section("[[scenario.stages]]"),
            Required,
            "How it rises and falls, at most 100.",
        ),
        key(
            "rate",
            Count(1, 100_000),
            Required,
            "Calls that begin in each time unit.",
        ),
        key(
            "start-rate",
            Count(0, 100_000),
            Is("0"),
            "The same at the beginning.",
        ),
        key("time-unit", Duration, Is("\"1s\""), "Of the rate."),
        key(
            "max-vus",
            Count(1, 1_000),
            Means("room for two seconds at the highest rate, 10 to 500"),
            "Most virtual users at once.",
        ),
        key(
            "think-time",
            Other("a duration, or `{ from = …, to = … }`"),
            Is("\"0s\""),
            "Pause of a virtual user between calls; not with arrival rates.",
        ),
        key(
            "graceful-stop",
            DurationOrZero,
            Is("\"30s\""),
            "How long calls in flight may still take at the end.",
        ),
        key(
            "start-time",
            DurationOrZero,
            Nothing,
            "When it begins: scenarios that have one run together on one server, the others alone.",
        ),
        key(
            "sessions",
            Choice(&["each", "shared", "per-call"]),
            Is("\"each\""),
            "Over HTTP: whether each virtual user, all together, or each call has a session.",
        ),
    ],
};

pub(super) const STAGES: Section = Section {
    head: "[[scenario.stages]]",
    place: "a stage",
    about: "A stage of the scenario above.",
    keys: &[
        key("duration", DurationOrZero, Required, "How long it takes."),
        key(
            "target",
            Count(0, 1_000),
            Required,
            "Virtual users at its end; with arrival rates, calls in each time unit, up to 100,000.",
        ),
    ],
};
