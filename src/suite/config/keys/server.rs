//! `[server]` and `[[tool]]`.

use super::{
    Section,
    Takes::{self, Choice, Duration, OpenText, Other, Secret, SizeWithin, Text, Words},
    Unset::{Is, Means, Nothing, Required},
    key,
};
use crate::suite::PROTOCOL_REVISIONS;

pub(super) const FILE: Section = Section {
    head: "",
    place: "the file",
    about: "Every table may be left out.",
    keys: &[
        key(
            "server",
            Takes::Section("[server]"),
            Means("the command line names one"),
            "How the server is reached.",
        ),
        key(
            "tool",
            Takes::Section("[[tool]]"),
            Means("mcpgate chooses tools by itself"),
            "What is called.",
        ),
        key(
            "probes",
            Takes::Section("[probes]"),
            Nothing,
            "Which failure modes are looked for.",
        ),
        key(
            "suite",
            Takes::Section("[suite]"),
            Nothing,
            "How much is measured.",
        ),
        key("gate", Takes::Section("[gate]"), Nothing, "What decides."),
        key(
            "accept",
            Takes::Section("[[accept]]"),
            Nothing,
            "Regressions that somebody answers for.",
        ),
        key(
            "scenario",
            Takes::Section("[[scenario]]"),
            Nothing,
            "Loads of your own.",
        ),
    ],
};

pub(super) const SERVER: Section = Section {
    head: "[server]",
    place: "[server]",
    about: "How the server is started and reached; [servers.md](servers.md) has examples.",
    keys: &[
        key(
            "command",
            Words,
            Nothing,
            "Program and arguments; without `url`, the server speaks over stdio. `{port}` stands for a free port.",
        ),
        key(
            "url",
            OpenText,
            Nothing,
            "Where an HTTP server listens, `http` or `https`; without `command` it is one that you started. `{port}`: the free port.",
        ),
        key(
            "transport",
            Choice(&["stdio", "streamable-http", "sse"]),
            Means("found out"),
            "How it is spoken to; `sse` is the older HTTP+SSE.",
        ),
        key(
            "protocol",
            Choice(PROTOCOL_REVISIONS),
            Means("found out"),
            "The revision of the protocol.",
        ),
        key(
            "cwd",
            Text,
            Means("the folder of this file"),
            "Where the command runs, from the folder of this file.",
        ),
        key(
            "env",
            Other("a table of strings with `${NAME}`"),
            Nothing,
            "Added to the environment of the server; what comes from `${NAME}` is never shown. `{port}`: the free port.",
        ),
        key(
            "heap-cap",
            SizeWithin("16MiB", "64GiB"),
            Nothing,
            "Limits the heap of Node.js (by `NODE_OPTIONS`), so that what is kept shows sooner.",
        ),
        key(
            "ca-file",
            Text,
            Nothing,
            "Authorities (PEM) besides those of the system, for `https`; from the folder of this file.",
        ),
        key(
            "headers",
            Other("a table of strings with `${NAME}`"),
            Nothing,
            "Sent with each HTTP request; what comes from `${NAME}` is never shown.",
        ),
        key(
            "oauth",
            Takes::Section("[server.oauth]"),
            Nothing,
            "Where the bearer token of HTTP requests comes from.",
        ),
        key(
            "elicitation",
            Choice(&["refuse", "accept-defaults"]),
            Is("\"refuse\""),
            "Whether forms that a tool puts to its user are accepted with their defaults.",
        ),
        key(
            "message-limit",
            SizeWithin("64KiB", "1GiB"),
            Is("\"64MiB\""),
            "Most bytes of one answer.",
        ),
        key(
            "startup-timeout",
            Duration,
            Is("\"60s\""),
            "How long a started server may take to answer.",
        ),
        key(
            "call-timeout",
            Duration,
            Is("\"30s\""),
            "How long a call may take.",
        ),
        key(
            "setup",
            Text,
            Nothing,
            "Shell command that runs once, before the first start.",
        ),
        key(
            "reset",
            Text,
            Nothing,
            "Shell command that runs before each start.",
        ),
        key(
            "build",
            Text,
            Nothing,
            "Shell command that builds the server in a work tree, for `compare --against`.",
        ),
    ],
};

pub(super) const OAUTH: Section = Section {
    head: "[server.oauth]",
    place: "[server.oauth]",
    about: "Tokens by OAuth client credentials, with a secret or a private key.",
    keys: &[
        key(
            "token-url",
            OpenText,
            Required,
            "Where tokens are asked for: `https`, or `http` on this machine.",
        ),
        key(
            "client-id",
            OpenText,
            Required,
            "The id that the client is registered by.",
        ),
        key(
            "client-secret",
            Secret,
            Means("there is a key"),
            "Best `\"${NAME}\"`; never shown.",
        ),
        key(
            "private-key-file",
            Text,
            Means("there is a secret"),
            "A key (PEM) in place of a secret; from the folder of this file.",
        ),
        key(
            "audience",
            OpenText,
            Means("the token URL"),
            "Of what the key signs.",
        ),
        key("scope", OpenText, Nothing, "Scopes to ask for."),
        key(
            "resource",
            OpenText,
            Means("the server's URL"),
            "For which resource the token is; `\"\"` sends none.",
        ),
    ],
};

pub(super) const TOOL: Section = Section {
    head: "[[tool]]",
    place: "[[tool]]",
    about: "One tool, and the call that is measured.",
    keys: &[
        key("name", Text, Required, "As `tools/list` gives it."),
        key(
            "arguments",
            Other("a table"),
            Is("{}"),
            "Sent with each call; texts may hold placeholders.",
        ),
        key(
            "expect",
            Takes::Section("[tool.expect]"),
            Nothing,
            "What a right answer holds, besides being no error.",
        ),
        key(
            "kind",
            Choice(&["compute", "external"]),
            Is("\"compute\""),
            "`external` calls an outside service: reported, never gated, never pressed.",
        ),
        key(
            "data",
            Text,
            Nothing,
            "Rows for `{{data.NAME}}`, a `.csv` or `.jsonl` file; from the folder of this file.",
        ),
        key(
            "writes",
            Takes::Section("[tool.writes]"),
            Nothing,
            "The tool changes something: only the probe `writes` calls it.",
        ),
        key(
            "grows-with",
            Text,
            Nothing,
            "The argument, a number, that says how large answers are, for the probe `large-answers`.",
        ),
    ],
};

pub(super) const EXPECT: Section = Section {
    head: "[tool.expect]",
    place: "`expect`",
    about: "What a right answer of the tool above holds.",
    keys: &[key(
        "contains",
        Text,
        Nothing,
        "A text that a part of the answer holds; may have placeholders.",
    )],
};

pub(super) const WRITES: Section = Section {
    head: "[tool.writes]",
    place: "`writes`",
    about: "How it is seen that the tool above wrote.",
    keys: &[
        key("read-back", Text, Required, "The tool that reads."),
        key(
            "contains",
            Text,
            Required,
            "What it must answer after a call; needs a placeholder.",
        ),
        key(
            "arguments",
            Other("a table"),
            Is("{}"),
            "What the reading tool is called with.",
        ),
    ],
};
