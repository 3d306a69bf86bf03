use proptest::prelude::*;

use super::*;
use crate::history::test_support::{run, runs};

fn text(entries: &[Entry]) -> String {
    entries.iter().map(Entry::to_line).collect()
}

#[test]
fn a_line_has_its_keys_in_a_fixed_order() {
    let line = runs(&[12.5]).remove(0).to_line();
    assert_eq!(
        line,
        "{\"schema_version\":1,\"at\":\"2026-01-01T12:00:00Z\",\
         \"commit\":\"00c0ffee00000000000000000000000000000000\",\"seed\":0,\
         \"mcpgate_version\":\"0.1.0\",\"machine\":{\"os\":\"linux\",\"arch\":\"x86_64\",\
         \"cpu_model\":\"AMD EPYC\",\"cores\":2,\"reference_work_ns\":5000000},\
         \"transport\":\"stdio\",\"protocol_version\":\"2026-07-28\",\"suite_hash\":\"5017e\",\
         \"memory_measure\":\"high-water mark\",\"scenarios\":{\"search/sequential\":\
         {\"definition_hash\":\"d1\",\"rounds\":10,\"latency_p50_ns\":12550000,\
         \"latency_p50_adjusted_ns\":12500000}}}\n"
    );
}

#[test]
fn keys_of_a_newer_version_are_ignored() {
    let entries = runs(&[12.5]);
    let newer = text(&entries)
        .replace("\"seed\":0", "\"seed\":0,\"moon\":{\"phase\":[1]}")
        .replace("\"rounds\":10", "\"rounds\":10,\"latency_p999_ns\":1");
    let history = read(newer.as_bytes());
    assert_eq!((history.entries, history.faults), (entries, vec![]));
}

#[test]
fn lines_that_say_nothing_are_named_and_the_others_kept() {
    let lines = text(&runs(&[1.0, 2.0]));
    let (first, second) = lines.split_once('\n').unwrap();
    let half = &first[..first.len() / 2];
    let bad_time = first.replace("2026-01-01T12:00:00Z", "yesterday");
    let newer = first.replace("\"schema_version\":1", "\"schema_version\":2");
    let negative = first
        .replace("12:00:00", "12:00:01")
        .replace("\"rounds\":10", "\"rounds\":-1");
    let bytes = [
        b"<<<<<<< HEAD\r\n".as_slice(),
        first.as_bytes(),
        b"\r\n=======\n",
        second.as_bytes(),
        b">>>>>>> main\n\n  \n\xff\xfe\n[1]\n{}\n",
        half.as_bytes(),
        b"\n",
        bad_time.as_bytes(),
        b"\n",
        newer.as_bytes(),
        b"\n",
        negative.as_bytes(),
    ]
    .concat();
    let history = read(&bytes);
    assert_eq!(history.entries, runs(&[1.0, 2.0]));
    let faults: Vec<String> = history
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.line, fault.problem))
        .collect();
    let expected = [
        "1: `<<<<<<<` is left of a merge",
        "3: `=======` is left of a merge",
        "5: `>>>>>>>` is left of a merge",
        "8: not the JSON of a run",
        "9: not the JSON of a run",
        "10: not a run that this version can read: missing field `schema_version`",
        "11: it ends in the middle",
        "12: its `at` is no time",
        "13: of schema 2, and this is mcpgate ",
        "14: not a run that this version can read: ",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(expected) {
        assert!(fault.starts_with(start), "{fault:?} is not {start:?}");
    }
}

#[test]
fn a_run_is_added_once_and_behind_what_was_cut_off() {
    let entries = runs(&[1.0, 2.0]);
    let Added::Behind(first) = added(b"", &entries[0]) else {
        panic!("not behind");
    };
    assert_eq!(first, entries[0].to_line().into_bytes());
    assert_eq!(added(&first, &entries[0]), Added::Nothing);
    let cut = first[..first.len() - 20].to_vec();
    let Added::Behind(more) = added(&cut, &entries[1]) else {
        panic!("not behind");
    };
    let history = read(&[cut, more].concat());
    assert_eq!(history.entries, entries[1..]);
    assert_eq!(history.faults.len(), 1);
}

fn a_minute_each(count: usize) -> Vec<Entry> {
    (0..count)
        .map(|number| {
            let mut entry = run(0);
            entry.seed = number as u64;
            entry.at = format!("2026-01-01T{:02}:{:02}:00Z", number / 60, number % 60);
            entry
        })
        .collect()
}

#[test]
fn a_full_file_keeps_the_newest_runs() {
    let entries = a_minute_each(MOST_LINES + 7);
    // In whatever order they stand.
    let mut shuffled = entries[..MOST_LINES + 6].to_vec();
    shuffled.reverse();
    let full = format!("<<<<<<<\n{}", text(&shuffled));
    let Added::Instead(bytes) = added(full.as_bytes(), &entries[MOST_LINES + 6]) else {
        panic!("not instead");
    };
    let history = read(&bytes);
    assert_eq!(history.entries, entries[7..]);
    assert_eq!(history.faults, []);
    assert_eq!(history.commits(), 1);
}

fn shuffled() -> impl Strategy<Value = (Vec<Entry>, Vec<Entry>)> {
    let entries = runs(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let doubled = [entries.clone(), entries.clone()].concat();
    (Just(entries), Just(doubled).prop_shuffle())
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_of_lines_matters((entries, merged) in shuffled()) {
        let history = read(text(&merged).as_bytes());
        prop_assert_eq!(history.entries, entries);
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..700) {
        let line = runs(&[1.0]).remove(0).to_line().into_bytes();
        let mut mixed = line[..cut.min(line.len())].to_vec();
        mixed.extend(&bytes);
        mixed.extend(&line);
        let history = read(&mixed);
        prop_assert!(history.entries.len() <= 2);
        let _ = added(&mixed, &run(3));
    }
}

#[test]
fn several_runs_join_a_file_each_once_and_the_oldest_go() {
    let all = a_minute_each(MOST_LINES + 4);
    let file = text(&all[2..4]);
    let Added::Behind(more) = all_added(file.as_bytes(), &all[0..5]) else {
        panic!("room");
    };
    let file = [file.into_bytes(), more].concat();
    assert_eq!(read(&file).entries, all[0..5]);
    assert_eq!(all_added(&file, &all[0..5]), Added::Nothing);
    let twice = [all[5].clone(), all[5].clone()];
    assert_eq!(all_added(&file, &twice), all_added(&file, &twice[..1]));

    // What a full file dropped does not come back by way of a branch that has it still.
    let full = text(&all[4..]);
    let Added::Instead(bytes) = all_added(full.as_bytes(), &all[0..4]) else {
        panic!("full");
    };
    assert_eq!(read(&bytes).entries, all[4..]);
}
