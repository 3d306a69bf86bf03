use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    results::ScenarioKind,
    suite::{Expect, standard::standard},
};

fn tool(name: &str, kind: ToolKind) -> ToolCall {
    ToolCall {
        name: name.to_owned(),
        arguments: serde_json::Map::new(),
        expect: Expect::default(),
        kind,
        data: None,
    }
}

fn facts(transport: Transport) -> ServerFacts {
    let typical = [("quick", 2), ("slow", 501)];
    ServerFacts {
        transport,
        stateless: false,
        has_sessions: true,
        typical_call: typical
            .iter()
            .map(|(name, ms)| ((*name).to_owned(), Duration::from_millis(*ms)))
            .collect(),
        answer_bytes: BTreeMap::from([("slow".to_owned(), 1 << 30), ("quick".to_owned(), 99_999)]),
    }
}

fn own(name: &str, tool: &str) -> LoadConfig {
    LoadConfig {
        name: name.to_owned(),
        mix: vec![(tool.to_owned(), 1)],
        terms: terms("pool-pressure"),
    }
}

/// The loads with their tools, and what was left out.
fn planned(
    config: &SuiteConfig,
    own: &[LoadConfig],
    facts: &ServerFacts,
    baseline: Option<&SuiteRecord>,
) -> (Vec<String>, Vec<String>) {
    let tools = [
        tool("quick", ToolKind::Compute),
        tool("slow", ToolKind::Compute),
        tool("outside", ToolKind::External),
    ];
    let mut suite = standard(config, &tools, facts);
    suite.skipped.clear();
    add(&mut suite, baseline, config, own, &tools, facts);
    let loads = suite.loads.iter().map(|load| {
        let tools: Vec<&str> = load
            .mix
            .iter()
            .map(|(tool, _)| tool.name.as_str())
            .collect();
        format!("{}: {}", load.record.name, tools.join(" "))
    });
    let skipped = suite.skipped.iter();
    let skipped = skipped.map(|skipped| format!("{}: {}", skipped.name, skipped.reason));
    (loads.collect(), skipped.collect())
}

#[test]
fn the_standard_loads_press_only_what_may_be_pressed() {
    let config = SuiteConfig::default();
    let (loads, skipped) = planned(&config, &[], &facts(Transport::StreamableHttp), None);
    assert_eq!(
        loads,
        [
            "ramp: quick",
            "pool-pressure: quick",
            "session-churn: quick"
        ]
    );
    assert_eq!(skipped, [""; 0]);
    // Over stdio there is one session, and nothing is said of what cannot be.
    let (loads, skipped) = planned(&config, &[], &facts(Transport::Stdio), None);
    assert_eq!(loads, ["ramp: quick", "pool-pressure: quick"]);
    assert_eq!(skipped, [""; 0]);
}

#[test]
fn a_tool_that_returns_a_lot_gets_a_load_of_its_own() {
    let mut facts = facts(Transport::Stdio);
    facts
        .answer_bytes
        .insert("quick".to_owned(), LARGE_ANSWER_BYTES);
    let (loads, _) = planned(&SuiteConfig::default(), &[], &facts, None);
    assert_eq!(
        loads.last().map(String::as_str),
        Some("large-response: quick")
    );
}

#[test]
fn loads_of_the_configuration_take_the_place_of_standard_ones() {
    let facts = facts(Transport::Stdio);
    let mine = [
        own("mine", "outside"),
        own("ramp", "slow"),
        own("gone", "removed"),
    ];
    let (loads, skipped) = planned(&SuiteConfig::default(), &mine, &facts, None);
    assert_eq!(
        loads,
        ["mine: outside", "ramp: slow", "pool-pressure: quick"]
    );
    assert_eq!(skipped.len(), 1);
    assert!(
        skipped[0].starts_with("gone: its tool removed "),
        "{skipped:?}"
    );
}

#[test]
fn what_is_switched_off_is_said_only_where_it_is_missed() {
    let facts = facts(Transport::Stdio);
    let default = SuiteConfig::default();
    let tools = [tool("quick", ToolKind::Compute)];
    let mut baseline = standard(&default, &tools, &facts);
    add(&mut baseline, None, &default, &[], &tools, &facts);
    let baseline = baseline.record();
    let kinds = baseline.scenarios.iter().map(|scenario| scenario.kind);
    assert_eq!(kinds.filter(|kind| *kind == ScenarioKind::Load).count(), 2);
    for (config, reason) in [
        (
            SuiteConfig {
                loads: false,
                ..default.clone()
            },
            "switched off by `loads` in [suite]",
        ),
        (
            SuiteConfig {
                size: SuiteSize::Quick,
                ..default.clone()
            },
            "not in the quick suite",
        ),
    ] {
        assert_eq!(
            planned(&config, &[], &facts, None),
            (Vec::new(), Vec::new())
        );
        let (loads, skipped) = planned(&config, &[], &facts, Some(&baseline));
        assert_eq!(loads, [""; 0]);
        let expected = [
            format!("ramp: {reason}"),
            format!("pool-pressure: {reason}"),
        ];
        assert_eq!(skipped, expected);
        // What the user wrote always runs.
        let (loads, _) = planned(&config, &[own("mine", "quick")], &facts, None);
        assert_eq!(loads, ["mine: quick"]);
    }
    let brief = SuiteConfig {
        max_time: Duration::from_secs(60),
        ..default
    };
    let (loads, skipped) = planned(&brief, &[], &facts, None);
    assert_eq!((loads.len(), skipped.len()), (0, 4));
    assert!(
        skipped[0].contains("more than 10 % of max-time (1m)"),
        "{skipped:?}"
    );
}

#[test]
fn a_definition_covers_what_is_sent_and_how_but_not_how_long_is_waited_at_the_end() {
    let hash = |change: &dyn Fn(&mut LoadTerms)| {
        let mut terms = terms("ramp");
        change(&mut terms);
        let load = Load::new("ramp", terms, vec![(tool("quick", ToolKind::Compute), 1)]);
        load.record.definition_hash
    };
    let same = hash(&|_| {});
    assert_eq!(hash(&|terms| terms.graceful_stop = Duration::ZERO), same);
    let changes: [&dyn Fn(&mut LoadTerms); 4] = [
        &|terms| terms.sessions = Sessions::Shared,
        &|terms| terms.think_time.to = Duration::from_secs(1),
        &|terms| terms.start_time = Some(Duration::ZERO),
        &|terms| {
            terms.executor = Executor::ConstantVus {
                vus: 20,
                duration: Duration::from_secs(7),
            };
        },
    ];
    for change in changes {
        assert_ne!(hash(change), same);
    }
}

#[test]
fn loads_with_a_start_time_share_a_server() {
    let mut suite = standard(&SuiteConfig::default(), &[], &facts(Transport::Stdio));
    let load = |name: &str, start_time| {
        let terms = LoadTerms {
            start_time,
            ..terms("ramp")
        };
        Load::new(name, terms, Vec::new())
    };
    let zero = Some(Duration::ZERO);
    suite.loads = vec![
        load("a", None),
        load("b", zero),
        load("c", None),
        load("d", zero),
    ];
    let groups = suite.load_groups();
    let names: Vec<Vec<&str>> = groups
        .iter()
        .map(|group| group.iter().map(|load| load.record.name.as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["b", "d"], vec!["a"], vec!["c"]]);
}
