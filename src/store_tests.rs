use std::{
    collections::BTreeMap,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use proptest::prelude::*;

use super::*;
use crate::results::{
    Acceptance, Environment, Histogram, Job, Latency, Measure, Phase, Round, Sample, ScenarioKind,
    ScenarioRecord, ServerRecord, Sessions, Soak, SoakSample, SuiteRecord, Transport,
};

fn sample(p50_ns: u64) -> Sample {
    let latency = Latency {
        p50_ns,
        p95_ns: Some(p50_ns * 2),
        p99_ns: None,
        max_ns: p50_ns * 3,
    };
    Sample {
        calls: 100,
        successes: 99,
        errors: BTreeMap::from([("tool-error".to_owned(), 1)]),
        duration_ns: 1_000_000_007,
        wall: Some(latency),
        adjusted: Some(latency),
        first_byte: None,
        cpu_per_call_ns: Some(700_000),
        delayed_last_bytes: 0,
        wall_histogram_ns: Histogram::of([p50_ns, p50_ns.saturating_mul(3)]),
        adjusted_histogram_ns: None,
        slow_calls: Vec::new(),
        client_cpu_ns: None,
    }
}

fn results(tool: &str, load: f64, growth: Option<f64>, p50_ns: u64) -> Results {
    let scenario = format!("{tool}/sequential");
    let round = |index| Round {
        index,
        phase: Phase::Measure,
        startup_ns: Some(300_000_000),
        startup_adjusted_ns: None,
        peak_memory_bytes: Some(70_000_000),
        processes: Some(1),
        memory_at_end: None,
        server_cpu_ns: Some(1),
        server_wait_ns: Some(u64::MAX),
        client_cpu_ns: None,
        outside_load_cores: Some(load),
        steal_cores: None,
        load_average: Some(load),
        reference_work_ns: None,
        page_work_ns: None,
        scenarios: BTreeMap::from([(scenario.clone(), sample(p50_ns))]),
    };
    let soak = |index| Soak {
        index,
        phase: Phase::Confirm,
        scenarios: BTreeMap::from([(
            format!("{tool}/soak"),
            SoakSample {
                calls: 1400,
                successes: 1400,
                errors: BTreeMap::new(),
                growth_bytes_per_call: growth,
                memory: vec![(0, 70_000_000), (100, 71_000_000)],
            },
        )]),
    };
    Results {
        schema_version: SCHEMA_VERSION,
        mcpgate_version: "0.1.0".to_owned(),
        server: ServerRecord {
            name: tool.to_owned(),
            version: "1".to_owned(),
            transport: Transport::Stdio,
            protocol_version: "2025-11-25".to_owned(),
            tool_list_hash: "00".to_owned(),
            attached: false,
        },
        suite: SuiteRecord {
            name: "quick".to_owned(),
            hash: "11".to_owned(),
            scenarios: vec![ScenarioRecord {
                name: scenario.clone(),
                kind: ScenarioKind::Sequential,
                tool: Some(tool.to_owned()),
                calls: 100,
                concurrency: 1,
                definition_hash: "22".to_owned(),
                report_only: false,
                sessions: Sessions::Each,
                load: None,
            }],
            skipped: Vec::new(),
        },
        jobs: vec![Job {
            started_at: "2026-11-24T00:00:00Z".to_owned(),
            commit: None,
            seed: 1,
            environment: Environment {
                os: "linux".to_owned(),
                arch: "x86_64".to_owned(),
                cpu_model: "CPU".to_owned(),
                cores: 2,
                memory_bytes: 1 << 33,
                kernel: "6.18".to_owned(),
                runner_image: None,
                container_memory_limit_bytes: None,
                container_cpu_limit_millicores: Some(1500),
            },
            memory_measure: Measure::By("high-water mark".to_owned()),
            adjusted_measure: Measure::NotMeasured("no schedstat".to_owned()),
            incomplete: None,
            rounds: vec![round(0), round(1)],
            soaks: vec![soak(0)],
            loads: BTreeMap::new(),
            probes: Vec::new(),
            error_samples: BTreeMap::new(),
            notes: Vec::new(),
            in_turn: None,
        }],
        accepted: Some(Acceptance {
            at: "2026-11-24T00:00:01Z".to_owned(),
            forced_over: Vec::new(),
        }),
    }
}

fn problem(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    match read_results(file.path()) {
        Err(Error::ResultsFile { problem, path }) => {
            assert_eq!(path, file.path());
            problem
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_text_can_be_read_in_review() {
    let text = to_stable_text(&results("echo", 0.25, Some(1.5), 1_000_000));
    insta::assert_snapshot!(text);
    // One more round is one more line, and the comma of the one before.
    let mut more = results("echo", 0.25, Some(1.5), 1_000_000);
    let mut round = more.jobs[0].rounds[1].clone();
    round.index = 2;
    more.jobs[0].rounds.push(round);
    let longer = to_stable_text(&more);
    assert_eq!(longer.lines().count(), text.lines().count() + 1);
}

/// A histogram stands on the line of its round, and a file without one is as good.
#[test]
fn histograms_are_optional_and_bounded() {
    let kept = results("echo", 0.5, None, 2_100_000);
    let text = to_stable_text(&kept);
    let histogram = "\"wall_histogram_ns\": \"544 1 -47 1\"";
    let lines = text.lines().filter(|line| line.contains(histogram));
    let rounds: usize = kept.jobs.iter().map(|job| job.rounds.len()).sum();
    assert_eq!(lines.count(), rounds, "{text}");
    let older = text.replace(&format!(", {histogram}"), "");
    assert!(!older.contains("histogram"), "{older}");
    let older = parse_results(older.as_bytes()).unwrap();
    let sample = &older.jobs[0].rounds[0].scenarios["echo/sequential"];
    assert_eq!(sample.wall_histogram_ns, None);
    assert_eq!(
        sample.wall,
        kept.jobs[0].rounds[0].scenarios["echo/sequential"].wall
    );
    for hostile in ["544 1 -2000 1", "544 4294967295 1", "", "544 1\\u0000"] {
        let text = text.replace("544 1 -47 1", hostile);
        assert!(problem(text.as_bytes()).contains("not a histogram"));
    }
}

#[test]
fn an_empty_run_has_no_odd_lines() {
    let mut empty = results("echo", 0.0, None, 1);
    empty.jobs[0].rounds.clear();
    empty.jobs[0].soaks.clear();
    let text = to_stable_text(&empty);
    assert!(text.contains("\"rounds\": [],\n"), "{text}");
    assert_eq!(parse_results(text.as_bytes()).unwrap(), empty);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        tool in "\\PC{0,20}|[\"\\\\\u{0}-\u{1f}\u{202e}]{0,5}",
        load in 0.0..1e9_f64,
        growth in proptest::option::of(-1e12..1e12_f64),
        p50_ns in 0..u64::MAX / 3,
    ) {
        let results = results(&tool, load, growth, p50_ns);
        let text = to_stable_text(&results);
        prop_assert_eq!(parse_results(text.as_bytes()).unwrap(), results.clone());
        prop_assert_eq!(to_stable_text(&results), text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_results(&bytes).is_err());
    }

    #[test]
    fn a_damaged_file_is_refused_or_read(position in 0..3000_usize, byte in any::<u8>()) {
        let mut bytes = to_stable_text(&results("echo", 0.5, None, 5)).into_bytes();
        let last = bytes.len() - 1;
        bytes[position.min(last)] = byte;
        let _ = parse_results(&bytes);
    }
}

#[test]
fn each_unusable_file_says_what_to_do() {
    let newer = "{\"schema_version\": 7, \"mcpgate_version\": \"3.1\\u001b[31m\", \"jobs\": []}";
    let unknown_field =
        to_stable_text(&results("echo", 0.0, None, 1)).replace("\"seed\"", "\"sead\"");
    let texts = [
        problem(b" \n"),
        problem(b"{\n  \"schema_version\": 1,\n  oops"),
        problem(b"{\"schema_version\": 1"),
        problem(b"{\n<<<<<<< HEAD\n\"jobs\": []\n=======\n>>>>>>> other\n}"),
        problem(b"[1, 2]"),
        problem(b"{\"metrics\": {}}"),
        problem(newer.as_bytes()),
        problem(b"{\"schema_version\": 0}"),
        problem(b"{\"schema_version\": \"1\", \"mcpgate_version\": 4}"),
        problem(b"{\"schema_version\": 1, \"mcpgate_version\": \"0.1.0\"}"),
        problem(unknown_field.as_bytes()),
        problem(b"\xff\xfe"),
        problem("[".repeat(100_000).as_bytes()),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r"
    the file is empty
    not JSON: key must be a string at line 3 column 3
    not JSON: EOF while parsing an object at line 1 column 20
    a merge left its markers in it: take one side whole (`git checkout --theirs` or `--ours`), or measure anew: `mcpgate run`, then `mcpgate baseline update --force`
    this is JSON, but not a results file of mcpgate
    this is JSON, but not a results file of mcpgate: it has no `schema_version`
    written by mcpgate 3.1\u{1b}[31m, schema 7; this is mcpgate 0.1.0, schema 1: update mcpgate
    its `schema_version` is none that ever was; this is mcpgate 0.1.0, schema 1: write the file again with `mcpgate run` or `mcpgate baseline update`
    its `schema_version` is none that ever was; this is mcpgate 0.1.0, schema 1: write the file again with `mcpgate run` or `mcpgate baseline update`
    not a results file that this version can read (written by mcpgate 0.1.0): missing field `server` at line 1 column 49
    not a results file that this version can read (written by mcpgate 0.1.0): unknown field `sead`, expected one of `started_at`, `commit`, `seed`, `environment`, `in_turn`, `memory_measure`, `adjusted_measure`, `incomplete`, `rounds`, `soaks`, `loads`, `probes`, `error_samples`, `notes` at line 26 column 12
    not JSON: expected value at line 1 column 1
    not JSON: recursion limit exceeded at line 1 column 128
    ");
}

#[test]
fn a_missing_file_a_folder_and_a_huge_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &Path| read_results(path).unwrap_err().to_string();
    assert!(text(&folder.path().join("none.json")).contains("there is no such file"));
    assert!(text(folder.path()).contains("this is a directory"));
    let huge = folder.path().join("huge.json");
    // Sparse: takes no room on the disk.
    File::create(&huge)
        .unwrap()
        .set_len(LARGEST_FILE + 1)
        .unwrap();
    assert!(text(&huge).contains("larger than 64 MiB"));
}

#[test]
fn a_file_that_would_keep_the_gate_busy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.json");
    let read = |scenarios: usize, rounds: usize| {
        let mut many = results("a", 0.0, None, 1);
        let record = many.suite.scenarios[0].clone();
        many.suite.scenarios = vec![record; scenarios];
        let mut round = many.jobs[0].rounds[0].clone();
        round.scenarios.clear();
        many.jobs.truncate(1);
        many.jobs[0].rounds = vec![round; rounds];
        many.jobs[0].soaks.clear();
        std::fs::write(&path, serde_json::to_vec(&many).unwrap()).unwrap();
        read_results(&path)
    };
    assert!(read(1_000, 1_000).is_ok());
    for (scenarios, rounds) in [(10_001, 1), (1_001, 10_000)] {
        let error = read(scenarios, rounds).unwrap_err().to_string();
        let words = format!("{scenarios} scenarios in {rounds} rounds");
        assert!(error.contains(&words), "{error}");
    }
}

#[test]
fn a_file_is_replaced_whole_with_its_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folders/file.json");
    write_atomic(&path, b"one").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // As any file that this process makes.
    let plain = folder.path().join("plain");
    std::fs::write(&plain, b"").unwrap();
    assert_eq!(mode(&path), mode(&plain));
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let before = File::open(&path).unwrap();
    write_atomic(&path, b"two").unwrap();
    assert_eq!(mode(&path), 0o640);
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    // Who had it open still sees the whole old text.
    assert_eq!(io::read_to_string(before).unwrap(), "one");
    let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "no temporary file is left");
}

#[test]
fn symbolic_links_stay_and_lead_to_the_new_text() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = folder.path().join("link.json");
    symlink("real/file.json", &link).unwrap();
    for text in ["dangling at first", "then not"] {
        write_atomic(&link, text.as_bytes()).unwrap();
        assert!(link.is_symlink());
        assert_eq!(
            std::fs::read_to_string(real.join("file.json")).unwrap(),
            text
        );
    }
    let circle = folder.path().join("circle");
    symlink("circle", &circle).unwrap();
    assert!(matches!(
        write_atomic(&circle, b""),
        Err(Error::NotDelivered { .. })
    ));
}

#[test]
fn what_is_no_plain_file_is_written_directly() {
    write_atomic(Path::new("/dev/null"), b"text").unwrap();
    assert!(!Path::new("/dev/null").is_file());
    let folder = tempfile::tempdir().unwrap();
    let error = write_atomic(folder.path(), b"text").unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
}
