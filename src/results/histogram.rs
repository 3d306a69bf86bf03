//! Histograms of single calls: how latencies are spread within a round.
//!
//! They are for pictures only. What is compared are quantiles, which are taken from the latencies
//! themselves while those are in memory: exact, of one definition (nearest rank). Nothing here
//! enters them or a verdict.
//!
//! **Buckets.** A latency of `ns` whole nanoseconds falls into bucket `32 s + (ns >> s)`, where `s`
//! is as small as may be so that `ns >> s` is below 64. Below 64 ns each number is a bucket of its
//! own; above, each power of two has 32 of the same width. Bucket `k` holds `ns` from
//! `m << s` to `(m << s) + (1 << s) - 1`, where `s = max(k / 32 - 1, 0)` (whole division) and
//! `m = k - 32 s`: its upper end is less than a 32nd (3.2 %) above its lower one. Whole numbers only,
//! so that every machine and every reader agrees about the borders; 1920 buckets hold all of a
//! `u64`.
//!
//! **Text.** `"544 3 12 -2 1"`: the first bucket, then the count of each bucket in turn, and `-n` for
//! `n` empty ones. Bucket 544 has 3, 545 has 12, 546 and 547 have none, 548 has 1. One form only: no
//! needless zero, sign or space. The buckets are those of HdrHistogram with two digits or less; its
//! own serialised form needs its library, zlib and base64 to be read, this one `split(" ")`.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Buckets of each power of two, as a power of two.
const BITS: u32 = 5;
const EACH: u16 = 1 << BITS;

/// How many buckets there are.
const BUCKETS: usize = 1920;

/// No text is longer: 1920 counts of 8 digits.
const MOST_BYTES: usize = 16 << 10;

/// How many latencies lie in which bucket; at least one. See the [module](self) for borders and text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Histogram {
    /// Buckets that hold some, in ascending order, with how many.
    counts: Vec<(u16, u32)>,
}

/// One bucket that holds some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The smallest latency that falls into it.
    pub low_ns: u64,
    /// The largest.
    pub high_ns: u64,
    /// How many are in it.
    pub count: u32,
}

impl Histogram {
    /// Of latencies in nanoseconds, in any order; `None` if there are none.
    #[must_use]
    pub fn of(ns: impl IntoIterator<Item = u64>) -> Option<Self> {
        Self::adding(ns.into_iter().map(|ns| (bucket_of(ns), 1)))
    }

    /// All of several together; `None` if there are none. Counts end at `u32::MAX`.
    #[must_use]
    pub fn together<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        Self::adding(all.into_iter().flat_map(|one| one.counts.iter().copied()))
    }

    fn adding(counts: impl Iterator<Item = (u16, u32)>) -> Option<Self> {
        let mut all = vec![0_u32; BUCKETS];
        for (bucket, count) in counts {
            if let Some(so_far) = all.get_mut(usize::from(bucket)) {
                *so_far = so_far.saturating_add(count);
            }
        }
        let counts: Vec<(u16, u32)> = (0..).zip(all).filter(|(_, count)| *count > 0).collect();
        (!counts.is_empty()).then_some(Self { counts })
    }

    /// How many latencies it counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Buckets that hold some, in ascending order.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.counts.iter().map(|(bucket, count)| {
            let (low_ns, high_ns) = borders(*bucket);
            Bucket {
                low_ns,
                high_ns,
                count: *count,
            }
        })
    }

    /// The largest latency of the bucket that holds the one of rank ⌈n · `per_mille` / 1000⌉: not below
    /// that latency, and above it by less than a 32nd of it.
    #[must_use]
    pub fn quantile_ns(&self, per_mille: u16) -> u64 {
        // 1920 counts of 32 bits, times a thousand, are far below 64 bits.
        let rank = (self.total() * u64::from(per_mille.min(1000))).div_ceil(1000);
        let mut below = 0;
        let mut high_ns = 0;
        for bucket in self.buckets() {
            below += u64::from(bucket.count);
            high_ns = bucket.high_ns;
            if below >= rank {
                break;
            }
        }
        high_ns
    }

    /// The same as if each latency had been `factor` times as long, each taken for the middle of its
    /// bucket.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let scaled = self.counts.iter().map(|(bucket, count)| {
            let (low_ns, high_ns) = borders(*bucket);
            let middle = low_ns + (high_ns - low_ns) / 2;
            (bucket_of(super::times(middle, factor)), *count)
        });
        Self::adding(scaled).unwrap_or_else(|| self.clone())
    }

    fn parse(text: &str) -> Result<Self, NotAHistogram> {
        let mut numbers = text.split(' ').map(str::parse::<i64>);
        let first = numbers.next().and_then(Result::ok);
        let mut bucket = first
            .and_then(|first| u16::try_from(first).ok())
            .ok_or(NotAHistogram)?;
        let mut counts = Vec::new();
        let mut total = 0_u32;
        for number in numbers {
            let number = number.map_err(|_| NotAHistogram)?;
            if usize::from(bucket) >= BUCKETS {
                return Err(NotAHistogram);
            }
            if let Ok(count) = u32::try_from(number) {
                if count == 0 {
                    return Err(NotAHistogram);
                }
                total = total.checked_add(count).ok_or(NotAHistogram)?;
                counts.push((bucket, count));
                bucket += 1;
            } else {
                let empty = u16::try_from(number.unsigned_abs()).map_err(|_| NotAHistogram)?;
                bucket = bucket.checked_add(empty).ok_or(NotAHistogram)?;
            }
        }
        let histogram = Self { counts };
        // Whatever else could be read as the same is not what this writes.
        let is_canonical = total > 0 && histogram.to_string() == text;
        is_canonical.then_some(histogram).ok_or(NotAHistogram)
    }
}

/// A text that is none; it does not say the text, which can be of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAHistogram;

impl fmt::Display for NotAHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a histogram: the first of {BUCKETS} buckets, then counts (over 0, {} together) and \
             -n for n empty buckets, with single spaces",
            u32::MAX
        )
    }
}

impl TryFrom<String> for Histogram {
    type Error = NotAHistogram;

    fn try_from(text: String) -> Result<Self, NotAHistogram> {
        if text.len() > MOST_BYTES {
            return Err(NotAHistogram);
        }
        Self::parse(&text)
    }
}

impl From<Histogram> for String {
    fn from(histogram: Histogram) -> Self {
        histogram.to_string()
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = None;
        for (bucket, count) in &self.counts {
            match next {
                None => write!(f, "{bucket}")?,
                Some(next) if next < *bucket => write!(f, " -{}", bucket - next)?,
                Some(_) => {}
            }
            write!(f, " {count}")?;
            next = Some(bucket + 1);
        }
        Ok(())
    }
}

impl JsonSchema for Histogram {
    fn schema_name() -> Cow<'static, str> {
        "Histogram".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How many latencies lie in which bucket: the first bucket, then the count of each in turn, and -n for n empty ones. Bucket k holds nanoseconds from m << s to (m << s) + (1 << s) - 1, where s = max(k / 32 - 1, 0) in whole numbers and m = k - 32 s.",
            "type": "string",
            "maxLength": MOST_BYTES,
            "pattern": "^(0|[1-9][0-9]{0,3}) [1-9][0-9]{0,9}( (-[1-9][0-9]{0,3} )?[1-9][0-9]{0,9})*$",
        })
    }
}

/// The bucket of a latency.
fn bucket_of(ns: u64) -> u16 {
    let bits = u64::BITS - ns.leading_zeros();
    let shift = bits.saturating_sub(BITS + 1);
    let bucket = u64::from(shift) * u64::from(EACH) + (ns >> shift);
    // At most 58 * 32 + 63.
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// The smallest and the largest latency of one of the [`BUCKETS`].
fn borders(bucket: u16) -> (u64, u64) {
    let shift = (bucket / EACH).saturating_sub(1);
    let low = u64::from(bucket - EACH * shift) << shift;
    (low, low + ((1 << shift) - 1))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Latencies of every size.
    fn latency() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(bits, shift)| bits >> shift)
    }

    fn histogram() -> impl Strategy<Value = Histogram> {
        vec(latency(), 1..200).prop_map(|all| Histogram::of(all).unwrap())
    }

    fn read(text: &str) -> Result<Histogram, serde_json::Error> {
        serde_json::from_value(serde_json::Value::String(text.to_owned()))
    }

    #[test]
    fn buckets_follow_each_other_and_hold_every_number() {
        let mut next = Some(0);
        for bucket in 0..u16::try_from(BUCKETS).unwrap() {
            let (low, high) = borders(bucket);
            assert_eq!(Some(low), next, "{bucket}");
            assert_eq!((bucket_of(low), bucket_of(high)), (bucket, bucket));
            assert!(high - low <= low / 32, "{bucket}: {low} to {high}");
            next = high.checked_add(1);
        }
        assert_eq!(next, None, "the last one ends with the last number");
    }

    #[test]
    fn the_text_is_what_the_docs_say() {
        let low = |bucket| borders(bucket).0;
        let all = [[low(544); 3].as_slice(), &[low(545); 12], &[low(548)]].concat();
        assert_eq!(Histogram::of(all).unwrap().to_string(), "544 3 12 -2 1");
        // 2.1 ms: s = 16, and 2 100 000 / 65 536 is 32.
        assert_eq!(Histogram::of([2_100_000]).unwrap().to_string(), "544 1");
        assert_eq!(borders(544), (2_097_152, 2_162_687));
        assert_eq!(Histogram::of([]), None);
        assert_eq!(Histogram::together([]), None);
        assert_eq!(
            Histogram::of([0, u64::MAX]).unwrap().to_string(),
            "0 1 -1918 1"
        );
    }

    #[test]
    fn a_text_of_another_form_is_refused() {
        for text in [
            "",
            " ",
            "5",
            "5 ",
            "5 0",
            "5 1 0 1",
            "5 01",
            "5 +1",
            "05 1",
            "-0 1",
            "-1 1",
            "5  1",
            " 5 1",
            "5 1 ",
            "5 1 -1",
            "5 -1 1",
            "5 1 -1 -1 1",
            "5 1 -0 1",
            "5 1.0",
            "5 1e3",
            "5\t1",
            "5 １",
            "1920 1",
            "1919 1 1",
            "1918 1 -1 1",
            "65535 1",
            "65536 1",
            "5 4294967296",
            "5 4294967295 1",
            "5 1 -65536 1",
            "5 1 -65530 1",
            "5 1 -9223372036854775808 1",
            "5 1 99999999999999999999",
            "9223372036854775807 1",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("not a histogram"), "{text:?}: {error}");
        }
        for text in ["0 1", "1919 1", "5 4294967295", "5 4294967294 -1913 1"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let long = format!("0{}", " 1".repeat(9_000));
        assert!(read(&long).is_err());
        for not_text in ["[5,1]", "5", "null", "{}"] {
            assert!(serde_json::from_str::<Histogram>(not_text).is_err());
        }
    }

    #[test]
    fn the_longest_text_is_read() {
        let (mut text, mut left) = ("0".to_owned(), u32::MAX);
        for bucket in 0_u32..1920 {
            let count = if bucket < 263 { 10_000_000 } else { 1_000_000 };
            text.push_str(&format!(" {count}"));
            left = left.checked_sub(count).unwrap();
        }
        assert!(left < 9_000_000, "no count could have a further digit");
        assert_eq!(read(&text).unwrap().to_string(), text);
    }

    proptest! {
        #[test]
        fn a_latency_lies_in_its_bucket(ns in latency()) {
            let (low, high) = borders(bucket_of(ns));
            prop_assert!((low..=high).contains(&ns));
            prop_assert!(high - low <= low / 32);
        }

        #[test]
        fn quantiles_are_near_the_exact_ones_and_never_below(
            mut all in vec(latency(), 1..300),
            per_mille in 0_u16..=1000,
        ) {
            let histogram = Histogram::of(all.iter().copied()).unwrap();
            all.sort_unstable();
            let rank = (all.len() * usize::from(per_mille)).div_ceil(1000).max(1);
            let exact = all[rank - 1];
            let near = histogram.quantile_ns(per_mille);
            prop_assert!(near >= exact);
            prop_assert!(near - exact <= exact / 32, "{near} for {exact}");
            prop_assert_eq!(histogram.total(), all.len() as u64);
        }

        #[test]
        fn what_is_written_is_read(histogram in histogram()) {
            let text = serde_json::to_string(&histogram).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Histogram>(&text).unwrap(), &histogram);
            let schema = serde_json::to_value(schemars::schema_for!(Histogram)).unwrap();
            let value = serde_json::from_str(&text).unwrap();
            prop_assert!(jsonschema::is_valid(&schema, &value), "{text}");
        }

        #[test]
        fn parts_in_any_order_are_the_whole(a in vec(latency(), 1..100), b in vec(latency(), 1..100)) {
            let [first, second] = [&a, &b].map(|all| Histogram::of(all.iter().copied()).unwrap());
            let whole = Histogram::of([a, b].concat());
            prop_assert_eq!(Histogram::together([&first, &second]), whole.clone());
            prop_assert_eq!(Histogram::together([&second, &first]), whole);
        }

        #[test]
        fn no_text_harms(text in prop_oneof![
            any::<String>(),
            "-?[0-9]{0,25}( -?[0-9]{0,25}){0,20}",
            "[0-9]{1,4}( -?[1-9][0-9]{0,2}){0,40}",
        ]) {
            if let Ok(histogram) = read(&text) {
                prop_assert_eq!(histogram.to_string(), text);
                prop_assert!(histogram.total() <= u64::from(u32::MAX));
                prop_assert!(histogram.buckets().count() <= BUCKETS);
                let _ = histogram.quantile_ns(990);
            }
        }

        #[test]
        fn scaled_latencies_are_counted_near_where_they_would_be(
            all in vec(1_000_u64..1 << 40, 1..100),
            factor in 0.1..10.0_f64,
        ) {
            let scaled = Histogram::of(all.iter().copied()).unwrap().scaled(factor);
            prop_assert_eq!(scaled.total(), all.len() as u64);
            let most = *all.iter().max().unwrap() as f64 * factor;
            let ratio = scaled.quantile_ns(1000) as f64 / most;
            prop_assert!((0.96..1.06).contains(&ratio), "{ratio}");
        }

        #[test]
        fn any_factor_is_borne(histogram in histogram(), factor in any::<f64>()) {
            prop_assert_eq!(histogram.scaled(factor).total(), histogram.total());
        }
    }
}
