//! Calls at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, timeout},
};

use crate::{
    mcp::{client::Client, message, outcome::ErrorKind},
    results::{FirstCallsProbe, Sessions, TokenCount, TokenProbe},
    runner::{
        Plan,
        call::CompiledCall,
        collector::nanoseconds,
        failure::RunFailure,
        measure::Bench,
        round::{Findings, Started, begin, end},
    },
};

/// Callers at once.
const CALLERS: u32 = 8;
/// Calls of each.
const CALLS_EACH: u32 = 25;
/// Calls one at a time, to see whether the tool repeats what it was asked.
const CALLS_ALONE: u32 = 20;
/// How long suspect calls are asked again, one at a time.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// Answers that are longer are not searched.
const MOST_BYTES: usize = 1 << 16;
/// A word that is shorter could stand in an answer by chance.
const SHORTEST_WORD: usize = 5;
/// How long the first calls may take: a deadlock lasts for ever, and no first call this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one call asks for and no other, as it stands in the JSON of its arguments.
fn word(call: &CompiledCall, number: u32) -> Option<String> {
    let leaves = |number: u32| {
        let mut found = Vec::new();
        let arguments = call.arguments(0, number);
        collect(&serde_json::from_slice(&arguments).ok()?, &mut found);
        Some(found)
    };
    let other = leaves(number.wrapping_add(1))?;
    let mut own = leaves(number)?.into_iter().zip(other);
    let (word, _) = own.find(|(own, other)| own != other)?;
    (word.chars().count() >= SHORTEST_WORD).then_some(word)
}

/// Every text in a value, as it stands in JSON without its quotes.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(_) => {
            let text = value.to_string();
            found.extend(
                text.get(1..text.len() - 1)
                    .map(|text| text.trim().to_owned()),
            );
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(map) => map.values().for_each(|item| collect(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a text holds a word, and not only as a part of a longer one: `call 1` is not in `call 12`.
fn holds(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..);
        let after = after.and_then(|text| text.chars().next());
        let is_inside = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        !is_inside(before) && !is_inside(after)
    })
}

/// Whose words an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Its own call's alone.
    Own,
    /// Another call's.
    Foreign,
    /// No call's.
    None,
}

impl Held {
    /// `words`: of all calls, that of this call at `own`.
    fn of(body: &[u8], words: &[String], own: usize) -> Self {
        let text = String::from_utf8_lossy(body.get(..MOST_BYTES).unwrap_or(body));
        let foreign = words.iter().enumerate().any(|(number, word)| {
            number != own && words.get(own).is_some_and(|own| own != word) && holds(&text, word)
        });
        if foreign {
            Self::Foreign
        } else if words.get(own).is_some_and(|word| holds(&text, word)) {
            Self::Own
        } else {
            Self::None
        }
    }
}

/// What calls at once were answered with.
#[derive(Debug, Default)]
struct Seen {
    answers: u32,
    /// Numbers of calls whose answers held not only their own word.
    suspects: Vec<(u32, Held)>,
}

impl Seen {
    /// Counts those that are answered otherwise alone: real data may name what another call asks for.
    /// `alone` has what was asked again, which is not everything where that takes long.
    fn counted(&self, alone: &BTreeMap<u32, Held>) -> TokenCount {
        // An answer that was not asked for again counts only where none was as suspect alone.
        let is_plain = alone.values().all(|held| *held == Held::Own);
        let number = |kind: Held| {
            let guilty = self.suspects.iter().filter(|(number, held)| {
                *held == kind
                    && alone
                        .get(number)
                        .map_or(is_plain, |alone| *alone == Held::Own)
            });
            u32::try_from(guilty.count()).unwrap_or(u32::MAX)
        };
        TokenCount {
            answers: self.answers,
            foreign: number(Held::Foreign),
            wordless: number(Held::None),
        }
    }
}

/// One call with nothing beside it; `None` where it fails.
async fn lone(
    client: &mut Client,
    call: &CompiledCall,
    words: &[String],
    number: u32,
) -> Option<Held> {
    let (prepared, _) = call.prepare(client, 0, number);
    client.make_ready().await.ok()?;
    let exchange = client.send(&prepared).await.ok()?;
    message::check_tool_answer(&exchange.body, exchange.id, None).ok()?;
    Some(Held::of(
        &exchange.body,
        words,
        usize::try_from(number).ok()?,
    ))
}

/// Calls with words of their own: one at a time, in one session, in several. `None` where the tool
/// does not repeat what it is asked, or repeats more.
pub(super) async fn tokens(bench: &mut Bench, call: &Arc<CompiledCall>) -> Option<TokenProbe> {
    let all = CALLERS * CALLS_EACH;
    let words: Option<Vec<String>> = (0..all).map(|number| word(call, number)).collect();
    let words = Arc::new(words?);
    for number in 0..CALLS_ALONE {
        if lone(&mut bench.client, call, &words, number).await? != Held::Own {
            return None;
        }
    }
    let one_session = at_once(bench, call, &words, Sessions::Shared).await?;
    let own_sessions = if bench.has_one_session_only() {
        None
    } else {
        at_once(bench, call, &words, Sessions::Each).await
    };
    let all = [Some(&one_session), own_sessions.as_ref()];
    let suspects: BTreeSet<u32> = all
        .into_iter()
        .flatten()
        .flat_map(|seen| seen.suspects.iter().map(|(number, _)| *number))
        .collect();
    let mut again = BTreeMap::new();
    let until = Instant::now() + ASKED_AGAIN;
    for number in suspects {
        if Instant::now() >= until {
            break;
        }
        // Where not even that is answered, what was seen at once stands.
        let Some(held) = lone(&mut bench.client, call, &words, number).await else {
            break;
        };
        again.insert(number, held);
    }
    Some(TokenProbe {
        tool: call.tool().to_owned(),
        callers: CALLERS,
        alone: TokenCount {
            answers: CALLS_ALONE,
            ..TokenCount::default()
        },
        one_session: one_session.counted(&again),
        own_sessions: own_sessions.map(|seen| seen.counted(&again)),
    })
}

async fn at_once(
    bench: &mut Bench,
    call: &Arc<CompiledCall>,
    words: &Arc<Vec<String>>,
    sessions: Sessions,
) -> Option<Seen> {
    let mut clients = Vec::new();
    for _ in 0..CALLERS {
        match bench.another_client(sessions).await {
            Ok(client) => clients.push(client),
            Err(_) => {
                for client in clients {
                    client.close().await;
                }
                return None;
            }
        }
    }
    let mut users = JoinSet::new();
    for (number, client) in (0..).zip(clients) {
        let (call, words) = (Arc::clone(call), Arc::clone(words));
        users.spawn(async move { speak(client, &call, &words, number * CALLS_EACH).await });
    }
    let mut all = Seen::default();
    for of_user in users.join_all().await {
        all.answers += of_user.answers;
        all.suspects.extend(of_user.suspects);
    }
    Some(all)
}

async fn speak(mut client: Client, call: &CompiledCall, words: &[String], first: u32) -> Seen {
    let mut seen = Seen::default();
    client.set_call_timeout(PATIENCE);
    for number in first..first + CALLS_EACH {
        let (prepared, _) = call.prepare(&mut client, 0, number);
        if client.make_ready().await.is_err() {
            break;
        }
        // What fails is counted in the rounds; where answers are lost, the next is as well.
        let exchange = match client.send(&prepared).await {
            Ok(exchange) => exchange,
            Err(error) if error.kind == ErrorKind::Timeout => break,
            Err(_) => continue,
        };
        let is_answer = message::check_tool_answer(&exchange.body, exchange.id, None).is_ok();
        if let (true, Ok(own)) = (is_answer, usize::try_from(number)) {
            seen.answers += 1;
            let held = Held::of(&exchange.body, words, own);
            seen.suspects
                .extend((held != Held::Own).then_some((number, held)));
        }
    }
    client.close().await;
    seen
}

/// The first calls of a fresh server, all at once, each on a connection of its own.
pub(super) async fn first_calls(
    plan: &Plan,
    calls: &[&Arc<CompiledCall>],
    findings: &mut Findings,
) -> Result<Option<FirstCallsProbe>, RunFailure> {
    let Started { mut bench, .. } = begin(plan, findings).await?;
    let mut clients = Vec::new();
    for _ in 0..CALLERS {
        let Ok(client) = bench.another_client(Sessions::Each).await else {
            break;
        };
        clients.push(client);
    }
    let cpu_before = bench.observer.cpu_ns();
    let before = bench.observer.read();
    let began = Instant::now();
    let mut users = JoinSet::new();
    for ((number, mut client), call) in (0..).zip(clients).zip(calls.iter().cycle()) {
        let call = Arc::clone(call);
        users.spawn(async move {
            let (prepared, _) = call.prepare(&mut client, number, number);
            client.set_call_timeout(PATIENCE);
            let answered = timeout(PATIENCE, client.send(&prepared)).await;
            let is_answered = match answered {
                Ok(Ok(_)) => true,
                Ok(Err(error)) => error.kind != ErrorKind::Timeout,
                Err(_) => false,
            };
            client.close().await;
            is_answered
        });
    }
    let answered = users.join_all().await;
    let server_cores = bench.cores_since((cpu_before, before, began));
    end(bench, findings).await;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Ok((!answered.is_empty()).then(|| FirstCallsProbe {
        calls: count(answered.len()),
        answered: count(answered.iter().filter(|is_answered| **is_answered).count()),
        patience_ns: nanoseconds(PATIENCE),
        server_cores,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Expect, ToolCall, ToolKind};

    fn call(arguments: &str) -> CompiledCall {
        let call = ToolCall {
            name: "echo".to_owned(),
            arguments: serde_json::from_str(arguments).unwrap(),
            expect: Expect::default(),
            kind: ToolKind::Compute,
            data: None,
        };
        CompiledCall::new(&call, 1, "test").unwrap()
    }

    #[test]
    fn the_word_is_the_text_that_differs_from_call_to_call() {
        for (arguments, expected) in [
            (r#"{"a": "same", "b": "hello {{i}}"}"#, Some("hello 7")),
            (
                r#"{"list": [{"deep": "call {{i}} \"x\""}]}"#,
                Some(r#"call 7 \"x\""#),
            ),
            (r#"{"a": "same"}"#, None),
            // A number alone stands in many an answer.
            (r#"{"a": "{{i}}"}"#, None),
            (r#"{"a": "n{{i}}"}"#, None),
        ] {
            assert_eq!(
                word(&call(arguments), 7).as_deref(),
                expected,
                "{arguments}"
            );
        }
    }

    #[test]
    fn a_word_inside_another_is_not_held() {
        for (text, word, expected) in [
            ("hello 1", "hello 1", true),
            ("say hello 1.", "hello 1", true),
            ("hello 12", "hello 1", false),
            ("othello 1", "hello 1", false),
            ("hello 12, hello 1", "hello 1", true),
            ("é hello 1 é", "hello 1", true),
            ("", "hello 1", false),
        ] {
            assert_eq!(holds(text, word), expected, "{text} {word}");
        }
    }

    #[test]
    fn an_answer_is_right_foreign_or_wordless() {
        let words = ["hello 1", "hello 2", "hello 2"].map(str::to_owned);
        let held = |body: &str, own: usize| Held::of(body.as_bytes(), &words, own);
        assert_eq!(held("hello 1", 0), Held::Own);
        assert_eq!(held("hello 2", 0), Held::Foreign);
        assert_eq!(held("hello 1 and hello 2", 0), Held::Foreign);
        assert_eq!(held("nothing", 0), Held::None);
        // Two calls that ask for the same.
        assert_eq!(held("hello 2", 1), Held::Own);
    }

    #[test]
    fn an_answer_that_is_the_same_alone_is_no_mix_up() {
        let seen = Seen {
            answers: 200,
            suspects: vec![(41, Held::Foreign), (7, Held::Foreign), (9, Held::None)],
        };
        let counted = |alone: &[(u32, Held)]| {
            let counted = seen.counted(&alone.iter().copied().collect());
            assert_eq!(counted.answers, 200);
            (counted.foreign, counted.wordless)
        };
        assert_eq!(
            counted(&[(41, Held::Own), (7, Held::Own), (9, Held::Own)]),
            (2, 1)
        );
        // The article of 41 names what 12 asks for, whoever asks when.
        assert_eq!(
            counted(&[(41, Held::Foreign), (7, Held::Own), (9, Held::None)]),
            (1, 0)
        );
        // Time was up, or nothing was answered any more.
        assert_eq!(counted(&[(41, Held::Own)]), (2, 1));
        assert_eq!(counted(&[(41, Held::Foreign)]), (0, 0));
        assert_eq!(counted(&[]), (2, 1));
    }
}
