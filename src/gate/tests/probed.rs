//! One probe's figures, at a few numbers each: what the tests of probes are made of.

use crate::results::{
    AbortProbe, BesideProbe, Exit, ExitProbe, FirstCallProbe, FirstCallsProbe, Holdings, IdleProbe,
    LargeAnswer, LargeAnswersProbe, Latency, OpenSessionsProbe, Probes, RefusalProbe, SessionProbe,
    SessionSeries, TokenCount, TokenProbe, UnreadAnswer, WriteCount, WriteProbe,
};

pub(super) const MS: u64 = 1_000_000;

pub(super) fn latency(ms: f64) -> Latency {
    Latency {
        p50_ns: crate::gate::test_support::ns(ms * 1e6),
        p95_ns: None,
        p99_ns: None,
        max_ns: crate::gate::test_support::ns(ms * 2e6),
    }
}

pub(super) fn held(descriptors: u32, threads: u32) -> Holdings {
    Holdings {
        descriptors,
        threads,
    }
}

/// So many bytes a session, after a warm-up that takes more.
pub(super) fn series(bytes: u64, [first, middle, last]: [Holdings; 3]) -> SessionSeries {
    let memory = (1..=45).map(|reading: u32| {
        let warm_up = 40_000_000 * u64::from(reading.min(10)) / 10;
        (reading * 20, warm_up + bytes * u64::from(reading * 20))
    });
    SessionSeries {
        sessions: 900,
        failed: 0,
        memory: memory.collect(),
        holdings: vec![(0, first), (440, middle), (900, last)],
    }
}

pub(super) fn sessions(closed: u64, abandoned: u64) -> Probes {
    let same = [held(12, 5); 3];
    Probes {
        sessions: Some(SessionProbe {
            closed: series(closed, same),
            abandoned: series(abandoned, same),
        }),
        ..Probes::default()
    }
}

pub(super) fn beside(alone: f64, beside: f64, cores: Option<f64>) -> Probes {
    Probes {
        beside: Some(BesideProbe {
            tool: "search".into(),
            tool_calls: 30,
            tool_p50_ns: 20 * MS,
            requests: 30,
            alone: latency(alone),
            beside: latency(beside),
            server_cores: cores,
        }),
        ..Probes::default()
    }
}

pub(super) fn tokens(one_session: (u32, u32), own_sessions: (u32, u32)) -> Probes {
    let count = |(foreign, wordless)| TokenCount {
        answers: 200,
        foreign,
        wordless,
    };
    Probes {
        tokens: Some(TokenProbe {
            tool: "search".into(),
            callers: 8,
            alone: TokenCount {
                answers: 20,
                ..TokenCount::default()
            },
            one_session: count(one_session),
            own_sessions: Some(count(own_sessions)),
        }),
        ..Probes::default()
    }
}

pub(super) fn writes(alone: (u32, u32), at_once: (u32, u32)) -> Probes {
    let count = |(acknowledged, found)| WriteCount {
        acknowledged,
        found,
        read_error: None,
    };
    Probes {
        writes: vec![WriteProbe {
            tool: "note".into(),
            read_back: "notes".into(),
            writes: 20,
            in_sequence: count(alone),
            at_once: count(at_once),
        }],
        ..Probes::default()
    }
}

pub(super) fn aborts(successes_after: u32, holdings: [Holdings; 3]) -> Probes {
    Probes {
        aborts: Some(AbortProbe {
            tool: "search".into(),
            aborted: [15, 15],
            cut_off: [0, 0],
            calls_after: 5,
            successes_after,
            error: (successes_after < 5).then(|| "timeout".to_owned()),
            holdings,
            streams_cut_off: 0,
        }),
        ..Probes::default()
    }
}

/// As [`writes`], where nothing can be read back any more after those at once.
pub(super) fn broken_writes(kind: &str) -> Probes {
    let mut set = writes((20, 20), (20, 0));
    for probe in &mut set.writes {
        probe.at_once.read_error = Some(kind.to_owned());
    }
    set
}

pub(super) fn exit(how: Exit, orphans: u32) -> Probes {
    Probes {
        exit: Some(ExitProbe { how, orphans }),
        ..Probes::default()
    }
}

pub(super) fn idle(cores: f64) -> Probes {
    Probes {
        idle: Some(IdleProbe {
            duration_ns: 1_000 * MS,
            server_cpu_ns: crate::gate::test_support::ns(cores * 1e9),
        }),
        ..Probes::default()
    }
}

/// Sizes in kB with what an answer takes in ms, or an error; and of the last what others wait.
pub(super) fn large(sizes: &[(u64, Result<u64, &str>)], unread: Option<(u64, bool)>) -> Probes {
    let mut sizes: Vec<LargeAnswer> = sizes
        .iter()
        .map(|(kb, took)| LargeAnswer {
            bytes: kb * 1_000,
            answers: 3,
            error: took.err().map(str::to_owned),
            first_byte_ns: took.ok().map(|_| MS),
            last_byte_ns: took.ok().map(|ms| ms * MS),
            at_once_ns: took.ok().map(|ms| 2 * ms * MS),
            at_once_hangs: false,
            unread: None,
        })
        .collect();
    if let Some(last) = sizes.last_mut() {
        last.unread = unread.map(|(others, is_whole)| UnreadAnswer {
            alone_ns: 2 * MS,
            others_ns: Some(others * MS),
            is_whole,
        });
    }
    Probes {
        large_answers: Some(LargeAnswersProbe {
            tool: "blob".into(),
            sizes,
            memory_bytes: None,
        }),
        ..Probes::default()
    }
}

pub(super) fn first_call(first: u64, later: u64) -> Probes {
    Probes {
        first_call: Some(FirstCallProbe {
            tool: "search".into(),
            first_ns: first * MS,
            later_ns: later * MS,
            later_calls: 10,
        }),
        ..Probes::default()
    }
}

pub(super) fn refusals(answers: f64, refusals: f64) -> Probes {
    Probes {
        refusals: Some(RefusalProbe {
            requests: 10,
            answers: latency(answers),
            refusals: latency(refusals),
        }),
        ..Probes::default()
    }
}

pub(super) fn first_calls(answered: u32, server_cores: Option<f64>) -> Probes {
    Probes {
        first_calls: Some(FirstCallsProbe {
            calls: 8,
            answered,
            patience_ns: 10_000 * MS,
            server_cores,
        }),
        ..Probes::default()
    }
}

pub(super) fn open_sessions(opened: u32, recovers: bool) -> Probes {
    Probes {
        open_sessions: Some(OpenSessionsProbe {
            wanted: 100,
            opened,
            error: (opened < 100).then(|| "http-503".to_owned()),
            recovers,
        }),
        ..Probes::default()
    }
}
