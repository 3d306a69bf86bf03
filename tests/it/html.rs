//! The page of `--format html`, opened in a real browser.
//!
//! A frame page holds the pages under test in frames of several widths, looks at them by script (they
//! have none of their own) and writes what it saw into itself; the browser prints it.
#![expect(
    clippy::disallowed_methods,
    reason = "a test: it reads what was installed for it"
)]

use std::{collections::BTreeMap, fs};

use html5gum::{Token, Tokenizer};
use mcpgate::{
    results::{
        ErrorSample, ExecutorName, LoadRecord, LoadSample, Results, ScenarioKind, ScenarioRecord,
        Soak, SoakSample, StageRecord, StageSample,
    },
    store::to_stable_text,
};

use crate::{
    harness::{Outcome, Project, repository},
    reference::{ECHO, Over, healthy, scale_times, small},
};

/// What an attacker's server might call itself, and answer.
const HOSTILE: &str =
    "</style></title><script>document.title = 'owned'</script><img src=x onerror=alert(1)>";

/// Judges accessibility; `cargo xtask setup` installs it.
const AXE: &str = "tests/browser/.installed/npm/node_modules/axe-core/axe.min.js";

/// Parts and plots of a comparison.
const IN_A_COMPARISON: [&str; 8] = [
    "Calls of all rounds",
    "Environment",
    "Errors by kind",
    "How to reproduce",
    "Latency against load",
    "Memory against calls",
    "rounds in order",
    "Scenarios",
];

/// What the frame page saw of one page.
#[derive(Debug, serde::Deserialize)]
struct Seen {
    page: String,
    width: u32,
    title: String,
    /// Whether the page was asked to be dark.
    is_dark: bool,
    is_still: bool,
    ground: String,
    text: String,
    scrolling: String,
    /// Pixels by which the page is wider than its window.
    too_wide: i32,
    style_sheets: usize,
    /// Scripts, images, frames and what was loaded.
    foreign: usize,
    plots: usize,
    /// What parts and plots are called.
    heads: Vec<String>,
    /// What scrolls or folds and cannot be reached by the keyboard.
    unreachable: Vec<String>,
    /// Links to nothing.
    lost_links: Vec<String>,
    /// What axe-core found, with all folds open.
    violations: Vec<String>,
}

const FRAMES: &str = r#"<!doctype html><meta charset="utf-8"><title>frames</title>
<pre id="seen">nothing was seen</pre>
<script>
const see = async ([page, width]) => {
  const load = async (name) => {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 900px; border: 0`;
    frame.src = name;
    const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
    document.body.append(frame);
    await loaded;
    return frame.contentWindow;
  };
  const window = await load(page);
  const d = window.document;
  const css = (element) => window.getComputedStyle(element);
  const named = (element) => `${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`;
  const media = (query) => window.matchMedia(query).matches;
  const seen = {
    page, width,
    title: d.title,
    is_dark: media("(prefers-color-scheme: dark)"),
    is_still: media("(prefers-reduced-motion: reduce)"),
    ground: css(d.body).backgroundColor,
    text: css(d.body).color,
    scrolling: css(d.documentElement).scrollBehavior,
    style_sheets: d.styleSheets.length,
    foreign: d.querySelectorAll("script, img, iframe, object, embed, [style]").length
      + window.performance.getEntriesByType("resource").length,
    plots: d.querySelectorAll("svg.plot path.dot").length,
    heads: [...d.querySelectorAll("main h2, main h3, figcaption")].map((e) => e.textContent.trim()),
    lost_links: [...d.querySelectorAll("a")].map((a) => a.getAttribute("href"))
      .filter((at) => !d.getElementById(at.slice(1))),
  };
  d.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  seen.too_wide = d.documentElement.scrollWidth - d.documentElement.clientWidth;
  seen.unreachable = [...d.querySelectorAll("*")]
    .filter((e) => e.tagName === "SUMMARY" || (e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(css(e).overflowX)))
    .filter((e) => { e.focus(); return d.activeElement !== e; }).map(named);
  seen.violations = [];
  // Wide or narrow is the same to most of axe's rules.
  if (width > 1000) { return seen; }
  // The page's own policy lets no script in, and axe is one.
  const other = await load(`axe-${page}`);
  other.document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  const judged = await other.axe.run(other.document, { resultTypes: ["violations"] });
  seen.violations = judged.violations.map((v) => `${v.id}: ${v.nodes[0].html}`);
  return seen;
};
const all = [["compare.html", 1280], ["compare.html", 400], ["run.html", 400]];
(async () => {
  const seen = [];
  for (const each of all) { seen.push(await see(each)); }
  return JSON.stringify(seen);
})().catch((error) => `failed: ${error}`).then((text) => {
  document.querySelectorAll("iframe").forEach((frame) => frame.remove());
  document.getElementById("seen").textContent = text;
});
</script>
"#;

/// Results with a tool that leaks, a load, errors, and foreign text that would like to be markup.
fn hostile(percent: u64) -> Results {
    let mut results = healthy();
    results.server.name = HOSTILE.to_owned();
    let declared = &mut results.suite.scenarios;
    let like = declared.last().expect("a scenario").clone();
    let stages = [(5, 5), (10, 10), (20, 0)].map(|(from, to)| StageRecord {
        duration_ns: 1_000_000_000,
        from,
        to,
    });
    declared.push(ScenarioRecord {
        name: "wait/soak".to_owned(),
        kind: ScenarioKind::Soak,
        ..like.clone()
    });
    declared.push(ScenarioRecord {
        name: "ramp".to_owned(),
        kind: ScenarioKind::Load,
        load: Some(LoadRecord {
            executor: ExecutorName::RampingVus,
            tools: BTreeMap::from([("wait".to_owned(), 1)]),
            time_unit_ns: None,
            stages: stages.to_vec(),
        }),
        ..like
    });
    let job = &mut results.jobs[0];
    for sample in job
        .rounds
        .iter_mut()
        .flat_map(|round| round.scenarios.values_mut())
    {
        scale_times(sample, percent);
        sample.errors.insert("tool-error".to_owned(), 1);
    }
    let whole = job.rounds[0].scenarios["wait/sequential"].clone();
    job.error_samples.insert(
        "wait/sequential".to_owned(),
        ErrorSample {
            kind: "tool-error".to_owned(),
            message: HOSTILE.to_owned(),
        },
    );
    job.soaks.push(Soak {
        index: 0,
        phase: job.rounds[0].phase,
        scenarios: BTreeMap::from([(
            "wait/soak".to_owned(),
            SoakSample {
                calls: 1_400,
                successes: 1_400,
                errors: BTreeMap::new(),
                growth_bytes_per_call: Some(5_000.0),
                memory: (0..28)
                    .map(|n| (n * 50, 50_000_000 + u64::from(n) * 250_000))
                    .collect(),
            },
        )]),
    });
    job.loads.insert(
        "ramp".to_owned(),
        LoadSample {
            dropped: 0,
            interrupted: 0,
            most_in_flight: 10,
            connecting: None,
            send_lag: None,
            peak_memory_bytes: Some(60_000_000),
            memory: (0..20)
                .map(|n| (n * 100, 50_000_000 + n * 500_000))
                .collect(),
            outside_load_cores: None,
            steal_cores: None,
            stages: stages
                .iter()
                .map(|_| StageSample {
                    calls: 100,
                    successes: 100,
                    dropped: 0,
                    wall: whole.wall,
                })
                .collect(),
            whole,
        },
    );
    results
}

/// Opens a page of the project's folder.
fn browse(project: &Project, page: &str, options: &[&str]) -> Outcome {
    let data = format!("--user-data-dir={}", project.path("browser").display());
    let url = format!("file://{}", project.path(page).display());
    let mut arguments = vec![
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-crash-reporter",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        // So that the frame page may look into its frames.
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        "--virtual-time-budget=60000",
        &data,
    ];
    arguments.extend(options);
    arguments.extend(["--dump-dom", &url]);
    project.run_other("chromium", &arguments).code(0)
}

/// What the pages' own console said: refused loads, errors.
fn console(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.stderr.lines();
    lines.filter(|line| line.contains("CONSOLE")).collect()
}

/// The text of the element that the frame page writes into.
fn seen(outcome: &Outcome) -> Vec<Seen> {
    let mut is_within = false;
    let mut text = String::new();
    for Ok(token) in Tokenizer::new(&outcome.stdout) {
        match token {
            Token::StartTag(tag) => {
                is_within = tag
                    .attributes
                    .get(b"id".as_slice())
                    .is_some_and(|id| ***id == *b"seen");
            }
            Token::EndTag(_) => is_within = false,
            Token::String(part) if is_within => text.push_str(&String::from_utf8_lossy(&part)),
            _ => {}
        }
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}\n{outcome}"))
}

/// A folder with `compare.html`, `run.html`, copies that hold axe, and the frame page.
fn pages() -> Project {
    let axe = fs::read_to_string(repository().join(AXE))
        .unwrap_or_else(|error| panic!("{AXE}: {error}; run `cargo xtask setup`"));
    let (base, now) = (hostile(100), hostile(240));
    let mut project = Project::new()
        .file("base.json", &to_stable_text(&base))
        .file("now.json", &to_stable_text(&now))
        .file("axe.js", &axe)
        .file("frames.html", FRAMES);
    let arguments = ["compare", "base.json", "now.json", "--format", "html"];
    let compared = project.run(&arguments).code(1).stdout;
    let run = small(Project::new(), Over::Stdio, &[]).tool(ECHO);
    let run = run
        .run(&["run", "--quiet", "--format", "html"])
        .code(0)
        .stdout;
    for (name, page) in [("compare.html", compared), ("run.html", run)] {
        let policy = page.find("<meta http-equiv").expect("a policy");
        let end = policy + page[policy..].find('>').expect("its end") + 1;
        let script = "<script src=\"axe.js\"></script>";
        let with_axe = format!("{}{script}{}", &page[..policy], &page[end..]);
        project = project
            .file(name, &page)
            .file(&format!("axe-{name}"), &with_axe);
    }
    project
}

#[test]
fn a_browser_shows_it_light_and_dark_wide_and_narrow() {
    let project = pages();
    let mut grounds = Vec::new();
    for (is_dark, options) in [
        (false, &[][..]),
        (
            true,
            &["--force-dark-mode", "--force-prefers-reduced-motion"],
        ),
    ] {
        let outcome = browse(&project, "frames.html", options);
        assert_eq!(console(&outcome), [""; 0], "{outcome}");
        let seen = seen(&outcome);
        assert_eq!(seen.len(), 3);
        for page in seen {
            let at = format!("{page:#?}");
            assert_ne!(page.title, "owned", "{at}");
            assert_eq!((page.is_dark, page.is_still), (is_dark, is_dark), "{at}");
            assert_eq!(
                page.scrolling,
                if is_dark { "auto" } else { "smooth" },
                "{at}"
            );
            assert_ne!(page.ground, page.text, "{at}");
            assert_eq!(
                (page.too_wide, page.style_sheets, page.foreign),
                (0, 1, 0),
                "{at}"
            );
            assert!(page.plots > 10, "{at}");
            let shown: &[&str] = match page.page.contains("compare") {
                true => &IN_A_COMPARISON,
                false => &["How to reproduce"],
            };
            for part in shown {
                let is_there = page.heads.iter().any(|head| head.contains(part));
                assert!(is_there, "{part}: {at}");
            }
            assert_eq!(page.unreachable, [""; 0], "{at}");
            assert_eq!(page.lost_links, [""; 0], "{at}");
            assert_eq!(page.violations, [""; 0], "{} at {}", page.page, page.width);
            grounds.push(page.ground);
        }
    }
    grounds.dedup();
    assert_eq!(
        grounds.len(),
        2,
        "one ground in light, another in dark: {grounds:?}"
    );
}

/// The check above can fail, and the policy does what it is for.
#[test]
fn the_policy_refuses_what_foreign_text_would_want() {
    let project = Project::new()
        .file("base.json", &to_stable_text(&healthy()))
        .file("now.json", &to_stable_text(&healthy()));
    let arguments = ["compare", "base.json", "now.json", "--format", "html"];
    let page = project.run(&arguments).code(0).stdout;
    let injected = "<p style='color: red'>x</p><script>document.title = 'owned'</script>\
                    <img src='http://127.0.0.1:9/x.png'></body>";
    let project = project.file("page.html", &page.replace("</body>", injected));
    let outcome = browse(&project, "page.html", &[]);
    let refused = console(&outcome);
    for directive in ["style-src", "script-src", "img-src"] {
        let said = refused.iter().filter(|line| line.contains(directive));
        assert_eq!(said.count(), 1, "{directive}: {refused:#?}");
    }
    assert!(!outcome.stdout.contains("<title>owned"), "{outcome}");
}
