//! Calls at once.

use std::sync::Arc;

use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Duration, timeout},
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

/// Counts an answer. `words`: of all calls, that of this call at `own`.
fn count(counted: &mut TokenCount, body: &[u8], words: &[String], own: usize) {
    let text = String::from_utf8_lossy(body.get(..MOST_BYTES).unwrap_or(body));
    let foreign = words.iter().enumerate().any(|(number, word)| {
        number != own && words.get(own).is_some_and(|own| own != word) && holds(&text, word)
    });
    let is_right = words.get(own).is_some_and(|word| holds(&text, word));
    counted.answers += 1;
    counted.foreign += u32::from(foreign);
    counted.wordless += u32::from(!foreign && !is_right);
}

/// Calls with words of their own: one at a time, in one session, in several. `None` where the tool
/// does not repeat what it is asked, or repeats more.
pub(super) async fn tokens(bench: &mut Bench, call: &Arc<CompiledCall>) -> Option<TokenProbe> {
    let all = CALLERS * CALLS_EACH;
    let words: Option<Vec<String>> = (0..all).map(|number| word(call, number)).collect();
    let words = Arc::new(words?);
    let mut alone = TokenCount::default();
    for number in 0..CALLS_ALONE {
        let (prepared, _) = call.prepare(&mut bench.client, 0, number);
        bench.client.make_ready().await.ok()?;
        let exchange = bench.client.send(&prepared).await.ok()?;
        message::check_tool_answer(&exchange.body, exchange.id, None).ok()?;
        let own = usize::try_from(number).ok()?;
        count(&mut alone, &exchange.body, &words, own);
    }
    if alone.foreign + alone.wordless > 0 {
        return None;
    }
    let one_session = at_once(bench, call, &words, Sessions::Shared).await?;
    let own_sessions = if bench.has_one_session_only() {
        None
    } else {
        at_once(bench, call, &words, Sessions::Each).await
    };
    Some(TokenProbe {
        tool: call.tool().to_owned(),
        callers: CALLERS,
        alone,
        one_session,
        own_sessions,
    })
}

async fn at_once(
    bench: &mut Bench,
    call: &Arc<CompiledCall>,
    words: &Arc<Vec<String>>,
    sessions: Sessions,
) -> Option<TokenCount> {
    let mut clients = Vec::new();
    for _ in 0..CALLERS {
        clients.push(bench.another_client(sessions).await.ok()?);
    }
    let mut users = JoinSet::new();
    for (number, client) in (0..).zip(clients) {
        let (call, words) = (Arc::clone(call), Arc::clone(words));
        users.spawn(async move { speak(client, &call, &words, number * CALLS_EACH).await });
    }
    let mut sum = TokenCount::default();
    for of_user in users.join_all().await {
        sum.answers += of_user.answers;
        sum.foreign += of_user.foreign;
        sum.wordless += of_user.wordless;
    }
    Some(sum)
}

async fn speak(
    mut client: Client,
    call: &CompiledCall,
    words: &[String],
    first: u32,
) -> TokenCount {
    let mut counted = TokenCount::default();
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
            count(&mut counted, &exchange.body, words, own);
        }
    }
    client.close().await;
    counted
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
    end(bench, findings).await;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Ok((!answered.is_empty()).then(|| FirstCallsProbe {
        calls: count(answered.len()),
        answered: count(answered.iter().filter(|is_answered| **is_answered).count()),
        patience_ns: nanoseconds(PATIENCE),
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
        let counted = |body: &str, own: usize| {
            let mut counted = TokenCount::default();
            count(&mut counted, body.as_bytes(), &words, own);
            (counted.foreign, counted.wordless)
        };
        assert_eq!(counted("hello 1", 0), (0, 0));
        assert_eq!(counted("hello 2", 0), (1, 0));
        assert_eq!(counted("hello 1 and hello 2", 0), (1, 0));
        assert_eq!(counted("nothing", 0), (0, 1));
        // Two calls that ask for the same.
        assert_eq!(counted("hello 2", 1), (0, 0));
    }
}
