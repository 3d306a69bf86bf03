//! What mcpgate spends on each answer, on each latency and on a judgement.
//!
//! `cargo bench --bench core`. Compare with an earlier run on the same machine only.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mcpgate::{
    mcp::{
        lines::LineFramer,
        message::{check_tool_answer, classify},
        sse::SseParser,
    },
    stats::{
        Sample,
        compact::CompactLatencies,
        interval,
        location::{self, TrimmedMean},
        slope, summarize,
    },
};

/// An answer to `tools/call` with a text of so many bytes.
fn answer(text: usize) -> String {
    let text = "0123456789abcde ".repeat(text.div_ceil(16));
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\
         \"call 77 {text}\"}}],\"isError\":false}}}}"
    )
}

fn parsers(c: &mut Criterion) {
    let mut group = c.benchmark_group("answer");
    for (size, text) in [("200 B", 100), ("100 kB", 100_000)] {
        let body = answer(text);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("checked, {size}"), |b| {
            b.iter(|| check_tool_answer(body.as_bytes(), 77, Some("call 77")).is_ok());
        });
        group.bench_function(format!("classified, {size}"), |b| {
            b.iter(|| classify(body.as_bytes()).is_ok());
        });
        let event = format!("id: 1\nevent: message\ndata: {body}\n\n");
        group.bench_function(format!("out of an event stream, {size}"), |b| {
            b.iter(|| {
                let mut found = 0;
                SseParser::new().feed(event.as_bytes(), |event| found += event.data.len());
                found
            });
        });
        let line = format!("{body}\n");
        group.bench_function(format!("out of a pipe, {size}"), |b| {
            let mut framer = LineFramer::new(1 << 20);
            b.iter(|| {
                framer.buffer().extend_from_slice(line.as_bytes());
                framer.next_line().is_ok_and(|line| line.is_some())
            });
        });
    }
    group.finish();
}

/// Latencies with a tail, in nanoseconds.
fn latencies(count: u64) -> Vec<u64> {
    (0..count)
        .map(|n| {
            let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            200_000 + mixed % 100_000 + if mixed % 50 == 0 { 5_000_000 } else { 0 }
        })
        .collect()
}

fn histograms(c: &mut Criterion) {
    let mut group = c.benchmark_group("latencies");
    let all = latencies(100_000);
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("100,000 added", |b| {
        b.iter(|| {
            let mut compact = CompactLatencies::default();
            for ns in &all {
                compact.push(*ns);
            }
            compact.len()
        });
    });
    let mut compact = CompactLatencies::default();
    for ns in &all {
        compact.push(*ns);
    }
    group.bench_function("quantiles of 100,000, in four bytes each", |b| {
        b.iter(|| compact.summarize());
    });
    group.bench_function("quantiles of 100,000, in eight bytes each", |b| {
        b.iter_batched_ref(|| all.clone(), |all| summarize(all), BatchSize::LargeInput);
    });
    group.finish();
}

fn statistics(c: &mut Criterion) {
    let mut group = c.benchmark_group("statistics");
    let figures = |shift: f64| Sample::new((0..40).map(move |n| shift + f64::from(n * 7 % 40)));
    let (Some(base), Some(candidate)) = (figures(100.0), figures(120.0)) else {
        return;
    };
    group.bench_function("Hodges-Lehmann of 40 against 40", |b| {
        b.iter(|| location::hodges_lehmann_shift(&base, &candidate));
    });
    group.bench_function("Yuen-Welch of 40 against 40", |b| {
        b.iter(|| {
            let of = |sample| TrimmedMean::of(sample, 8);
            interval::Difference::between(&of(&base), &of(&candidate)).map(|d| d.margin(0.001))
        });
    });
    let points: Vec<(f64, f64)> = (0..28)
        .map(|n| (f64::from(n), f64::from(n * n % 17)))
        .collect();
    group.bench_function("Theil-Sen of 28 points", |b| {
        b.iter(|| slope::theil_sen(&points));
    });
    group.finish();
}

criterion_group!(benches, parsers, histograms, statistics);
criterion_main!(benches);
