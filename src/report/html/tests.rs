//! What must hold of every page. An HTML tokenizer that is not ours reads it.

use std::collections::{BTreeMap, BTreeSet};

use html5gum::{DefaultEmitter, Token, Tokenizer};
use proptest::{collection::vec, prelude::*};

use super::{STYLE, calibration_html, html, run_html};
use crate::{
    gate::{Severity, Standing, Verdict},
    report::{
        test_diagnoses,
        test_loads::with_loads,
        test_results::results,
        test_support::{self as made, Fixture, HOSTILE},
    },
    results::{Histogram, Latency, Phase, Results},
};

/// All elements that a page may hold.
const ELEMENTS: [&str; 49] = [
    "a",
    "article",
    "b",
    "bdi",
    "body",
    "circle",
    "code",
    "dd",
    "desc",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "footer",
    "g",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "li",
    "link",
    "main",
    "meta",
    "nav",
    "p",
    "path",
    "pre",
    "rect",
    "section",
    "small",
    "span",
    "strong",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
];

/// All attributes that an element may have.
const ATTRIBUTES: [&str; 30] = [
    "aria-describedby",
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "charset",
    "class",
    "colspan",
    "content",
    "cx",
    "cy",
    "d",
    "height",
    "href",
    "http-equiv",
    "id",
    "lang",
    "name",
    "open",
    "r",
    "rel",
    "role",
    "rowspan",
    "rx",
    "scope",
    "tabindex",
    "viewbox",
    "viewBox",
    "width",
    "x",
    "y",
];

const VOID: [&str; 2] = ["meta", "link"];

fn tokens(page: &str) -> Vec<Token> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let tokens = Tokenizer::new_with_emitter(page, emitter);
    tokens.map(|token| token.unwrap()).collect()
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Asserts that a page holds no markup but ours, loads nothing, and is well formed.
fn check(page: &str) -> Result<(), TestCaseError> {
    let mut open = Vec::new();
    let mut ids = BTreeSet::new();
    let mut pointed_at = BTreeSet::new();
    for token in tokens(page) {
        match token {
            Token::StartTag(tag) => {
                let name = utf8(&tag.name);
                prop_assert!(ELEMENTS.contains(&name.as_str()), "<{name}>");
                for (attribute, value) in &tag.attributes {
                    let (attribute, value) = (utf8(attribute), utf8(value));
                    prop_assert!(
                        ATTRIBUTES.contains(&attribute.as_str()),
                        "<{name} {attribute}>"
                    );
                    match attribute.as_str() {
                        "href" if name == "link" => prop_assert_eq!(&value, "data:,"),
                        "href" => {
                            let at = value.strip_prefix('#');
                            prop_assert!(at.is_some(), "{value}");
                            pointed_at.extend(at.map(str::to_owned));
                        }
                        "aria-labelledby" | "aria-describedby" => {
                            pointed_at.extend(value.split(' ').map(str::to_owned));
                        }
                        "id" => prop_assert!(ids.insert(value.clone()), "{value} stands twice"),
                        _ => {}
                    }
                }
                if !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => prop_assert_eq!(open.pop(), Some(utf8(&tag.name))),
            Token::String(text) if open.last().is_some_and(|name| name != "style") => {
                let text = utf8(&text);
                prop_assert!(
                    !text.chars().any(|c| c != '\n' && is_invisible(c)),
                    "{text:?}"
                );
            }
            Token::String(_) | Token::Doctype(_) => {}
            Token::Comment(_) => return Err(TestCaseError::fail("a comment")),
            Token::Error(error) => return Err(TestCaseError::fail(format!("{:?}", error.value))),
        }
    }
    prop_assert_eq!(open, Vec::<String>::new());
    let lost: Vec<&String> = pointed_at.difference(&ids).collect();
    prop_assert!(lost.is_empty(), "no element {lost:?}");
    Ok(())
}

/// A page as it is heard: its text with a line for each block, and of drawings what they say.
fn outline(page: &str) -> String {
    let mut lines = vec![String::new()];
    let mut in_svg = 0_u32;
    let mut open: Vec<String> = Vec::new();
    let begin = |lines: &mut Vec<String>, mark: &str| lines.push(mark.to_owned());
    for token in tokens(page) {
        match token {
            Token::StartTag(tag) => {
                let name = utf8(&tag.name);
                match name.as_str() {
                    "h1" | "h2" => begin(&mut lines, "\n# "),
                    "summary" => begin(&mut lines, "> "),
                    "figure" => begin(&mut lines, "  figure: "),
                    "p" | "tr" | "div" | "footer" | "h3" | "pre" | "dt" | "article" => {
                        begin(&mut lines, "");
                    }
                    "li" => begin(&mut lines, "- "),
                    "td" | "th" | "dd" => lines.last_mut().unwrap().push_str(" | "),
                    "small" => lines.last_mut().unwrap().push(' '),
                    "svg" => in_svg += 1,
                    _ => {}
                }
                if !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => {
                in_svg -= u32::from(&*tag.name == b"svg");
                open.pop();
            }
            Token::String(text) => {
                let within = open.last().map_or("", String::as_str);
                let line = lines.last_mut().unwrap();
                match within {
                    "style" => {}
                    "desc" => line.push_str(&format!(" [{}]", utf8(&text))),
                    "code" if in_svg == 0 => line.push_str(&format!("`{}`", utf8(&text))),
                    _ if in_svg == 0 => line.push_str(&utf8(&text)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n").replace('\u{a0}', " ")
}

fn hostile() -> Fixture {
    let texts: Vec<String> = HOSTILE.iter().map(|&text| text.to_owned()).collect();
    made::hostile(&texts)
}

/// A regression with loads, fresh rounds and rounds that differ.
fn whole() -> Fixture {
    let mut fixture = made::regressed();
    fixture.candidate = with_loads(varied(fixture.candidate, 2), "search-burst");
    fixture.base = fixture
        .base
        .map(|base| with_loads(varied(base, 1), "search-burst"));
    fixture.judgement.diagnoses = test_diagnoses::diagnosed_server().judgement.diagnoses;
    fixture.judgement.findings.push(made::finding(
        Severity::Note,
        Some("count/sequential"),
        "is new, so there is nothing to compare.",
    ));
    for round in fixture.candidate.jobs[0].rounds.iter_mut().skip(8) {
        round.phase = Phase::Confirm;
    }
    fixture
}

/// The results with rounds that differ.
fn varied(mut results: Results, factor: u64) -> Results {
    for round in results.jobs.iter_mut().flat_map(|job| &mut job.rounds) {
        for sample in round.scenarios.values_mut() {
            for latency in [&mut sample.wall, &mut sample.adjusted]
                .into_iter()
                .flatten()
            {
                let more = |ns: u64| ns * factor + u64::from(round.index) * 7_919 % 1_000 * 137;
                *latency = Latency {
                    p50_ns: more(latency.p50_ns),
                    p95_ns: latency.p95_ns.map(more),
                    p99_ns: latency.p99_ns.map(more),
                    max_ns: more(latency.max_ns),
                };
            }
            sample.wall_histogram_ns = sample.wall.and_then(|wall| calls(wall, round.index));
            sample.adjusted_histogram_ns = sample.adjusted.and_then(|adj| calls(adj, round.index));
        }
    }
    results
}

/// A hundred calls of which the latency's quantiles could be, in no two rounds the same.
fn calls(of: Latency, round: u32) -> Option<Histogram> {
    let p95_ns = of.p95_ns.unwrap_or(of.p50_ns);
    let between = |from: u64, to: u64, n: u64, parts: u64| from + (to - from) * n / parts;
    Histogram::of((1..=100_u64).map(|n| {
        let ns = match n {
            1..=50 => between(of.p50_ns * 3 / 4, of.p50_ns, n, 50),
            51..=95 => between(of.p50_ns, p95_ns, n - 50, 45),
            _ => between(p95_ns, of.max_ns, n - 95, 5),
        };
        ns - ns / 1_000 * (n * u64::from(round + 1) * 37 % 40)
    }))
}

#[test]
fn pages_as_they_are_heard() {
    let mut run = made::pass();
    run.candidate = with_loads(run.candidate, "search-burst");
    run.judgement.comparisons.clear();
    for (name, page) in [
        ("regressed", html(&whole().report())),
        ("first_use", html(&made::first_use().report())),
        ("not_measured", html(&made::not_measured().report())),
        ("side_by_side", html(&made::side_by_side().report())),
        ("run", run_html(&Fixture { base: None, ..run }.report())),
        ("hostile", html(&hostile().report())),
        (
            "calibration",
            calibration_html(&made::calibration("search")),
        ),
    ] {
        insta::assert_snapshot!(format!("html_{name}"), outline(&page));
        check(&page).unwrap();
    }
}

#[test]
fn every_format_says_the_same_first() {
    for fixture in [
        made::pass(),
        made::inconclusive(),
        test_diagnoses::probed(Standing::New, Verdict::Regressed, 1),
    ] {
        let text = crate::report::text(&fixture.report(), crate::report::TextStyle::default());
        let (word, reason) = text.lines().next().unwrap().split_once(": ").unwrap();
        let page = outline(&html(&fixture.report()));
        let reason = reason.replace('\u{a0}', " ");
        assert!(
            page.contains(&format!("\n# {word}{reason}")),
            "{word}{reason}\n{page}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_page_has_no_markup_but_ours(
        texts in vec(
            prop_oneof![
                any::<String>(),
                proptest::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
                "[<>&\"'=/! a-z\u{0}\r\n\u{202e}-]{0,60}",
                "</?(script|style|svg|title|details|img|!--|\\]\\]>)[ />][a-z=\"' ]{0,20}",
            ],
            1..30,
        ),
    ) {
        let mut fixture = made::hostile(&texts);
        fixture.context.against = (texts.len() % 2 == 0).then(|| texts[0].clone());
        check(&html(&fixture.report()))?;
        fixture.base = None;
        check(&run_html(&fixture.report()))?;
        let mut calibration = made::calibration(&texts[0]);
        calibration.server.name.clone_from(&texts[0]);
        check(&calibration_html(&calibration))?;
    }
}

#[test]
fn figures_that_cannot_be_drawn_harm_no_page() {
    let mut fixture = whole();
    for (index, round) in fixture.candidate.jobs[0].rounds.iter_mut().enumerate() {
        round.outside_load_cores = Some(f64::NAN);
        round.startup_ns = Some(if index == 0 { 0 } else { u64::MAX });
        round.peak_memory_bytes = None;
    }
    for soak in &mut fixture.candidate.jobs[0].soaks {
        for sample in soak.scenarios.values_mut() {
            sample.growth_bytes_per_call = Some(f64::INFINITY);
            sample.memory.clear();
        }
    }
    let page = html(&fixture.report());
    check(&page).unwrap();
    assert!(
        !page.contains("NaN") && !page.contains("inf"),
        "{}",
        outline(&page)
    );
    fixture.candidate.jobs.clear();
    fixture.base = None;
    check(&html(&fixture.report())).unwrap();
    check(&run_html(&fixture.report())).unwrap();
}

/// Where one side keeps no histograms the page draws what both have, and says so.
#[test]
fn files_of_before_are_drawn_by_their_quantiles() {
    const OLDER: &str = "hold no histograms of calls";
    let whole = whole();
    let page = outline(&html(&whole.report()));
    assert!(!page.contains(OLDER), "{page}");
    assert!(page.contains("figure: Calls of all rounds"), "{page}");
    let without = |results: &Results| {
        let mut results = results.clone();
        for round in results.jobs.iter_mut().flat_map(|job| &mut job.rounds) {
            for sample in round.scenarios.values_mut() {
                sample.wall_histogram_ns = None;
                sample.adjusted_histogram_ns = None;
            }
        }
        let jobs = results.jobs.iter_mut();
        for load in jobs.flat_map(|job| job.loads.values_mut()) {
            load.whole.wall_histogram_ns = None;
        }
        results
    };
    let older_base = whole.base.as_ref().map(without);
    let older_now = without(&whole.candidate);
    for (base, now, who) in [
        (older_base.clone(), whole.candidate.clone(), "the baseline"),
        (whole.base.clone(), older_now.clone(), "this run"),
        (older_base, older_now.clone(), "the baseline and this run"),
        (None, older_now, "this run"),
    ] {
        let fixture = Fixture {
            base,
            candidate: now,
            ..self::whole()
        };
        let page = outline(&html(&fixture.report()));
        let said = format!("The results of {who} {OLDER}");
        assert!(page.contains(&said), "{said}: {page}");
        assert!(!page.contains("figure: Calls of all rounds"), "{page}");
        assert!(!page.contains("figure: Calls of the load"), "{page}");
        assert!(
            page.contains("figure: Calls of a round: quantiles"),
            "{page}"
        );
    }
}

/// A load of an older base may be the only thing without a histogram.
#[test]
fn a_load_is_drawn_of_both_sides_or_of_none() {
    let mut fixture = whole();
    let page = outline(&html(&fixture.report()));
    assert!(page.contains("figure: Calls of the load"), "{page}");
    let base = fixture.base.as_mut().unwrap();
    for load in base.jobs.iter_mut().flat_map(|job| job.loads.values_mut()) {
        load.whole.wall_histogram_ns = None;
    }
    let page = outline(&html(&fixture.report()));
    assert!(!page.contains("figure: Calls of the load"), "{page}");
    assert!(
        page.contains("The results of the baseline hold no histograms"),
        "{page}"
    );
    assert!(page.contains("figure: Calls of all rounds"), "{page}");
}

#[test]
fn fifty_scenarios_with_names_of_full_length_fit_in_a_megabyte() {
    let names: Vec<String> = (0..17)
        .map(|i| format!("tool-{i:03}-{}", "<`|@é".repeat(60)))
        .collect();
    let mut fixture = made::large(17);
    let tools: Vec<&str> = names.iter().map(String::as_str).collect();
    let of = |commit: &str, factor| {
        varied(
            results(commit, "2026-11-04T12:31:07Z", &tools, 15, 1),
            factor,
        )
    };
    (fixture.candidate, fixture.base) = (of("4f2c9d1", 3), Some(of("1a2b3c4", 1)));
    assert!(fixture.candidate.suite.scenarios.len() >= 50);
    let page = html(&fixture.report());
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(!page.contains("Not drawn"), "all were drawn");
    let more = html(&made::large(200).report());
    assert!(more.contains("Not drawn"), "the room for plots has an end");
}

/// The colours of the light page, and of the dark one.
fn colors() -> [BTreeMap<String, [f64; 3]>; 2] {
    let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
    let dark = dark.split_once("\n}").unwrap().0;
    [light, dark].map(|block| {
        let lines = block
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--"));
        let pairs = lines.filter_map(|line| line.strip_suffix(';')?.split_once(": #"));
        pairs
            .map(|(name, hex)| {
                let channel = |at: usize| {
                    f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0
                };
                (name.to_owned(), [0, 2, 4].map(channel))
            })
            .collect()
    })
}

/// Contrast ratio of two colours: WCAG 2.2, "contrast ratio" and "relative luminance".
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |color: [f64; 3]| {
        let [red, green, blue] = color.map(|c| {
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn contrast_is_enough_in_light_and_dark() {
    const TEXT: f64 = 4.5;
    const GRAPHICS: f64 = 3.0;
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    let tones = ["good", "doubt", "bad", "neutral"];
    let mut pairs: Vec<(String, String, f64)> = Vec::new();
    let mut pair = |a: &str, b: &str, least| pairs.push((a.to_owned(), b.to_owned(), least));
    for text in ["text", "quiet", "link"] {
        for ground in ["ground", "panel", "neutral-ground"] {
            pair(text, ground, TEXT);
        }
    }
    pair("text", "code-ground", TEXT);
    pair("quiet", "code-ground", TEXT);
    for tone in tones {
        let ground = format!("{tone}-ground");
        pair(tone, &ground, TEXT);
        pair("text", &ground, TEXT);
        pair("quiet", &ground, TEXT);
        pair(tone, "panel", GRAPHICS);
        pair(tone, "neutral-ground", GRAPHICS);
    }
    for mark in ["base", "now", "axis", "focus"] {
        pair(mark, "panel", GRAPHICS);
        pair(mark, "ground", GRAPHICS);
    }
    for (scheme, colors) in ["light", "dark"].into_iter().zip(colors()) {
        for (a, b, least) in &pairs {
            let found = contrast(colors[a], colors[b]);
            assert!(
                found >= *least,
                "{scheme}: {a} on {b} is {found:.2}, under {least}"
            );
        }
    }
}

#[test]
fn every_color_that_is_used_is_defined_in_light_and_dark() {
    let [light, dark] = colors();
    let names = |colors: &BTreeMap<String, _>| colors.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&light), names(&dark));
    for used in STYLE.split("var(--").skip(1) {
        let name = used.split(')').next().unwrap();
        let is_own = light.contains_key(name) || name.starts_with("tone");
        assert!(is_own, "--{name} is not defined");
    }
}
