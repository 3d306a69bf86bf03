use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::{ServerFacts, standard, standard_like};
use crate::{
    results::{ScenarioKind, Sessions, Transport},
    suite::{Expect, Suite, SuiteConfig, SuiteSize, ToolCall, ToolKind},
};

fn tool(name: &str) -> ToolCall {
    ToolCall {
        name: name.to_owned(),
        arguments: serde_json::Map::new(),
        expect: Expect::default(),
        kind: ToolKind::Compute,
        data: None,
    }
}

fn external(name: &str) -> ToolCall {
    ToolCall {
        kind: ToolKind::External,
        ..tool(name)
    }
}

fn facts(typical_ms: &[(&str, u64)]) -> ServerFacts {
    ServerFacts {
        transport: Transport::Stdio,
        stateless: false,
        has_sessions: true,
        typical_call: typical_ms
            .iter()
            .map(|(name, ms)| ((*name).to_owned(), Duration::from_millis(*ms)))
            .collect(),
        answer_bytes: BTreeMap::new(),
    }
}

fn lines(suite: &Suite) -> String {
    let mut out = format!("{} rounds, {} soaks\n", suite.rounds, suite.soak_rounds);
    for scenario in suite.scenarios.iter().chain(&suite.soaks) {
        let record = &scenario.record;
        out.push_str(&format!(
            "{}: {} calls after {}, {} at once{}\n",
            record.name,
            record.calls,
            scenario.warm_up,
            record.concurrency,
            if record.report_only {
                ", report only"
            } else {
                ""
            }
        ));
    }
    for skipped in &suite.skipped {
        out.push_str(&format!("- {}: {}\n", skipped.name, skipped.reason));
    }
    out
}

#[test]
fn two_fast_tools_and_an_external_one() {
    let tools = [tool("a"), external("web"), tool("b")];
    let suite = standard(
        &SuiteConfig::default(),
        &tools,
        &facts(&[("a", 1), ("b", 3), ("web", 100)]),
    );
    insta::assert_snapshot!(lines(&suite), @r"
    10 rounds, 3 soaks
    list-tools: 20 calls after 3, 1 at once
    a/sequential: 400 calls after 50, 1 at once
    web/sequential: 10 calls after 1, 1 at once, report only
    b/sequential: 400 calls after 50, 1 at once
    a/concurrent: 1000 calls after 10, 10 at once
    b/concurrent: 200 calls after 10, 10 at once
    a/soak: 1400 calls after 0, 1 at once
    b/soak: 1400 calls after 0, 1 at once
    - web/concurrent: calls an outside service, which is never pressed
    - web/soak: calls an outside service, which is never pressed
    ");
}

#[test]
fn sizes() {
    let amounts = |size| {
        let config = SuiteConfig {
            size,
            max_time: Duration::from_hours(1),
            ..SuiteConfig::default()
        };
        let suite = standard(&config, &[tool("a")], &facts(&[("a", 1)]));
        let calls = |scenarios: &[crate::suite::Scenario]| -> Vec<u32> {
            scenarios.iter().map(|s| s.record.calls).collect()
        };
        (
            suite.rounds,
            calls(&suite.scenarios),
            suite.soak_rounds,
            calls(&suite.soaks),
        )
    };
    assert_eq!(
        amounts(SuiteSize::Quick),
        (5, vec![20, 100, 1_000], 0, vec![])
    );
    assert_eq!(
        amounts(SuiteSize::Standard),
        (10, vec![20, 400, 1_000], 3, vec![1_400])
    );
    assert_eq!(
        amounts(SuiteSize::Deep),
        (20, vec![20, 400, 4_000], 3, vec![5_000])
    );
}

#[test]
fn what_the_user_sets_wins_over_the_size() {
    let config = SuiteConfig {
        size: SuiteSize::Quick,
        rounds: Some(3),
        calls: Some(30),
        concurrency: 4,
        soak_calls: Some(700),
        seed: 9,
        ..SuiteConfig::default()
    };
    let suite = standard(&config, &[tool("a")], &facts(&[("a", 1)]));
    assert_eq!(suite.seed, 9);
    insta::assert_snapshot!(lines(&suite), @r"
    3 rounds, 3 soaks
    list-tools: 20 calls after 3, 1 at once
    a/sequential: 30 calls after 15, 1 at once
    a/concurrent: 400 calls after 4, 4 at once
    a/soak: 700 calls after 0, 1 at once
    ");
}

/// Figures over one session are not comparable with those over many.
#[test]
fn sessions_that_are_shared_are_another_definition_of_what_is_concurrent_alone() {
    let of = |sessions| {
        let config = SuiteConfig {
            sessions,
            ..SuiteConfig::default()
        };
        standard(&config, &[tool("a")], &facts(&[("a", 1)]))
    };
    let (each, shared) = (of(Sessions::Each), of(Sessions::Shared));
    for (each, shared) in each.scenarios.iter().zip(&shared.scenarios) {
        let is_concurrent = each.record.kind == ScenarioKind::Concurrent;
        assert_eq!(each.record.name, shared.record.name);
        assert_eq!(each.record.sessions, Sessions::Each);
        assert_eq!(shared.record.sessions == Sessions::Shared, is_concurrent);
        let is_other = each.record.definition_hash != shared.record.definition_hash;
        assert_eq!(is_other, is_concurrent, "{}", each.record.name);
    }
}

#[test]
fn handshake_only_where_sessions_or_requests_can_be_repeated() {
    for (transport, stateless, expected) in [
        (Transport::Stdio, false, false),
        (Transport::Stdio, true, true),
        (Transport::StreamableHttp, false, true),
        (Transport::StreamableHttp, true, true),
    ] {
        let facts = ServerFacts {
            transport,
            stateless,
            has_sessions: !stateless,
            typical_call: BTreeMap::new(),
            answer_bytes: BTreeMap::new(),
        };
        let suite = standard(&SuiteConfig::default(), &[], &facts);
        let has = suite
            .scenarios
            .iter()
            .any(|s| s.record.kind == ScenarioKind::Handshake);
        assert_eq!(has, expected, "{transport:?}, stateless: {stateless}");
    }
}

#[test]
fn slow_tools_get_fewer_calls_then_none() {
    let tools = [tool("fast"), tool("slow"), tool("slower"), tool("slowest")];
    let suite = standard(
        &SuiteConfig::default(),
        &tools,
        &facts(&[
            ("fast", 2),
            ("slow", 120),
            ("slower", 1_900),
            ("slowest", 10_000),
        ]),
    );
    insta::assert_snapshot!(lines(&suite), @r"
    10 rounds, 3 soaks
    list-tools: 20 calls after 3, 1 at once
    fast/sequential: 400 calls after 50, 1 at once
    slow/sequential: 50 calls after 25, 1 at once
    slower/sequential: 5 calls after 2, 1 at once
    fast/concurrent: 200 calls after 10, 10 at once
    slow/concurrent: 100 calls after 10, 10 at once
    fast/soak: 1400 calls after 0, 1 at once
    - slow/sequential: 50 calls a round instead of 100, to fit max-time (10m)
    - slower/sequential: 5 calls a round instead of 100, to fit max-time (10m)
    - slowest: calls of up to about 16 s do not fit max-time (10m) beside the other tools; raise max-time or choose tools
    - slow/concurrent: 100 calls a round instead of 200, to fit max-time (10m)
    - slower/concurrent: calls of up to about 2 s leave too few of them to fit max-time (10m)
    - slow/soak: 1400 calls of up to about 128 ms on 3 servers do not fit max-time (10m)
    - slower/soak: 1400 calls of up to about 2 s on 3 servers do not fit max-time (10m)
    ");
}

#[test]
fn a_single_tool_of_two_seconds_is_still_measured() {
    let suite = standard(
        &SuiteConfig::default(),
        &[tool("a")],
        &facts(&[("a", 2_000)]),
    );
    insta::assert_snapshot!(lines(&suite), @r"
    10 rounds, 0 soaks
    list-tools: 20 calls after 3, 1 at once
    a/sequential: 10 calls after 5, 1 at once
    - a/sequential: 10 calls a round instead of 100, to fit max-time (10m)
    - a/concurrent: calls of up to about 2 s leave too few of them to fit max-time (10m)
    - a/soak: 1400 calls of up to about 2 s on 3 servers do not fit max-time (10m)
    ");
}

#[test]
fn sixty_tools_are_cut_from_the_end_not_thinned_to_nothing() {
    let tools: Vec<ToolCall> = (0..60).map(|n| tool(&format!("t{n:02}"))).collect();
    let typical: Vec<(&str, u64)> = tools.iter().map(|t| (t.name.as_str(), 30)).collect();
    let suite = standard(&SuiteConfig::default(), &tools, &facts(&typical));
    let sequential: Vec<&crate::suite::Scenario> = suite
        .scenarios
        .iter()
        .filter(|s| s.record.kind == ScenarioKind::Sequential)
        .collect();
    assert!(sequential.len() > 5, "{}", lines(&suite));
    assert!(
        sequential.iter().all(|s| s.record.calls >= 20),
        "{}",
        lines(&suite)
    );
    // The first tools are the ones that stay, and every other one is named.
    for (n, scenario) in sequential.iter().enumerate() {
        assert_eq!(scenario.record.name, format!("t{n:02}/sequential"));
    }
    for left in &tools[sequential.len()..] {
        assert!(
            suite.skipped.iter().any(|s| s.name == left.name),
            "{}",
            left.name
        );
    }
}

#[test]
fn an_external_tool_takes_no_time_from_the_soaks_of_others() {
    let tools = [external("web"), tool("a")];
    let suite = standard(
        &SuiteConfig::default(),
        &tools,
        &facts(&[("web", 16), ("a", 16)]),
    );
    assert_eq!(suite.soaks.len(), 1, "{}", lines(&suite));
}

#[test]
fn small_differences_in_time_change_nothing() {
    let tools = [tool("a"), tool("b")];
    let plan = |a: u64, b: u64| {
        let mut facts = facts(&[]);
        facts
            .typical_call
            .insert("a".to_owned(), Duration::from_micros(a));
        facts
            .typical_call
            .insert("b".to_owned(), Duration::from_micros(b));
        standard(&SuiteConfig::default(), &tools, &facts)
    };
    assert_eq!(plan(150, 90_000), plan(900, 120_000));
}

#[test]
fn fast_tools_are_pressed_for_longer() {
    for (micros, calls) in [(60, 1_000), (1_000, 1_000), (1_001, 200)] {
        let mut facts = facts(&[]);
        let typical = Duration::from_micros(micros);
        facts.typical_call.insert("a".to_owned(), typical);
        let suite = standard(&SuiteConfig::default(), &[tool("a")], &facts);
        let concurrent = suite.scenarios.last().unwrap();
        assert_eq!(concurrent.record.calls, calls, "{micros} µs");
    }
}

#[test]
fn definitions_and_hashes() {
    let config = SuiteConfig::default();
    let record = |tool: ToolCall, config: &SuiteConfig| {
        standard(config, &[tool], &facts(&[("a", 1)])).record()
    };
    let plain = record(tool("a"), &config);
    assert_eq!(plain.name, "standard");
    assert_eq!(plain, record(tool("a"), &config));
    let hash_of = |record: &crate::results::SuiteRecord, name: &str| {
        let found = record.scenarios.iter().find(|s| s.name == name);
        found.unwrap().definition_hash.clone()
    };

    // Numbers of calls are no part of a definition, all that is sent and expected is.
    let fewer = SuiteConfig {
        calls: Some(50),
        ..config.clone()
    };
    assert_eq!(record(tool("a"), &fewer).hash, plain.hash);
    let mut with_arguments = tool("a");
    with_arguments.arguments.insert("x".to_owned(), json!(1));
    let mut with_expectation = tool("a");
    with_expectation.expect.contains = Some("x".to_owned());
    let busier = SuiteConfig {
        concurrency: 20,
        ..config.clone()
    };
    for (other, name) in [
        (record(with_arguments, &config), "a/sequential"),
        (record(with_expectation, &config), "a/soak"),
        (record(tool("a"), &busier), "a/concurrent"),
    ] {
        assert_ne!(other.hash, plain.hash, "{name}");
        assert_ne!(hash_of(&other, name), hash_of(&plain, name), "{name}");
        assert_eq!(hash_of(&other, "list-tools"), hash_of(&plain, "list-tools"));
    }
    assert_eq!(
        hash_of(&record(tool("a"), &busier), "a/sequential"),
        hash_of(&plain, "a/sequential")
    );
    // Baselines hold these: a change here makes every committed baseline incomparable.
    assert_eq!(
        (
            hash_of(&plain, "a/sequential").as_str(),
            plain.hash.as_str()
        ),
        ("bf1f86c771239aa9", "9758d519a25fbeb4")
    );
}

#[test]
fn a_server_that_became_slow_is_measured_like_its_baseline() {
    let tools = [tool("a"), tool("b"), tool("new")];
    let config = SuiteConfig::default();
    let before = standard(&config, &tools[..2], &facts(&[("a", 1), ("b", 200)])).record();
    let slow = facts(&[("a", 20_000), ("b", 1), ("new", 1)]);
    let alone = standard(&config, &tools, &slow);
    assert!(
        alone.skipped.iter().any(|s| s.name == "a"),
        "{}",
        lines(&alone)
    );
    let like = standard_like(&before, &config, &tools, &slow);
    let calls = |record: &crate::results::SuiteRecord| -> BTreeMap<String, u32> {
        record
            .scenarios
            .iter()
            .map(|s| (s.name.clone(), s.calls))
            .collect()
    };
    let (before_calls, like_calls) = (calls(&before), calls(&like.record()));
    for (name, count) in &before_calls {
        assert_eq!(like_calls.get(name), Some(count), "{name}");
    }
    assert!(like_calls.contains_key("new/sequential"));
    assert!(
        !like.skipped.iter().any(|s| s.name == "a"),
        "{}",
        lines(&like)
    );
}

#[test]
fn a_tool_declared_external_since_the_baseline_is_not_pressed() {
    let config = SuiteConfig::default();
    let before = standard(&config, &[tool("a")], &facts(&[("a", 1)])).record();
    let like = standard_like(&before, &config, &[external("a")], &facts(&[("a", 1)]));
    assert!(like.soaks.is_empty());
    for scenario in &like.scenarios {
        assert_ne!(scenario.record.kind, ScenarioKind::Concurrent);
        assert_eq!(scenario.record.report_only, scenario.record.tool.is_some());
    }
}

#[test]
fn counts_of_a_hostile_baseline_are_bounded() {
    let config = SuiteConfig::default();
    let mut suite = standard(&config, &[tool("a")], &facts(&[("a", 1)]));
    let mut record = suite.record();
    for scenario in &mut record.scenarios {
        scenario.calls = if scenario.kind == ScenarioKind::Soak {
            0
        } else {
            u32::MAX
        };
    }
    suite.with_counts_of(&record);
    for scenario in suite.scenarios.iter().chain(&suite.soaks) {
        assert!(
            (1..=100_000).contains(&scenario.record.calls),
            "{scenario:?}"
        );
    }
}

fn any_config() -> impl Strategy<Value = SuiteConfig> {
    (
        prop::sample::select(vec![SuiteSize::Quick, SuiteSize::Standard, SuiteSize::Deep]),
        prop::option::of(0_u32..=300),
        prop::option::of(0_u32..=200_000),
        0_u32..=2_000,
        prop::option::of(0_u32..=200_000),
        0_u64..=100_000_000,
    )
        .prop_map(
            |(size, rounds, calls, concurrency, soak_calls, max_ms)| SuiteConfig {
                size,
                rounds,
                calls,
                concurrency,
                sessions: Sessions::Each,
                soak_calls,
                loads: true,
                max_time: Duration::from_millis(max_ms),
                seed: 1,
            },
        )
}

proptest! {
    /// The planned calls, at their typical durations, fit the time; names are unique; every tool is
    /// either measured or named as left out.
    #[test]
    fn plans_fit_and_account_for_every_tool(
        config in any_config(),
        typical in prop::collection::vec((0_u64..=60_000_000, any::<bool>()), 0..12),
    ) {
        let tools: Vec<ToolCall> = typical
            .iter()
            .enumerate()
            .map(|(n, (_, outside))| {
                let name = format!("t{n}");
                if *outside { external(&name) } else { tool(&name) }
            })
            .collect();
        let mut facts = facts(&[]);
        for (tool, (us, _)) in tools.iter().zip(&typical) {
            facts.typical_call.insert(tool.name.clone(), Duration::from_micros(*us));
        }
        let suite = standard(&config, &tools, &facts);
        prop_assert_eq!(&suite, &standard(&config, &tools, &facts));

        let spent = |scenarios: &[crate::suite::Scenario]| -> Duration {
            scenarios
                .iter()
                .filter_map(|s| {
                    let call = facts.typical_call.get(s.record.tool.as_ref()?)?;
                    Some(*call * (s.record.calls + s.warm_up))
                })
                .sum()
        };
        let total = spent(&suite.scenarios) * suite.rounds + spent(&suite.soaks) * suite.soak_rounds;
        prop_assert!(total <= config.max_time, "{:?} of {:?}", total, config.max_time);

        let record = suite.record();
        let mut names: Vec<&str> = record.scenarios.iter().map(|s| s.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), record.scenarios.len());
        for tool in &tools {
            let measured = record.scenarios.iter().any(|s| s.tool.as_ref() == Some(&tool.name));
            let left_out = suite.skipped.iter().any(|s| s.name == tool.name);
            prop_assert!(measured != left_out, "{}", tool.name);
        }
        for scenario in &suite.scenarios {
            prop_assert!(scenario.record.calls >= 1);
            let pressed = scenario.record.kind == ScenarioKind::Concurrent;
            prop_assert!(!(pressed && scenario.record.report_only));
        }

        // The suite of its own record is itself.
        prop_assert_eq!(standard_like(&record, &config, &tools, &facts).record(), record);
    }
}
