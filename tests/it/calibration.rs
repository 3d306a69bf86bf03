//! `mcpgate calibrate`: what it tells, and who heeds it.

use mcpgate::results::Calibration;
use rustix::process::Signal;

use crate::{
    harness::Project,
    reference::{ECHO, Over, WAIT, command, small},
};

#[test]
fn a_calibration_tells_how_often_the_gate_errs_and_is_heeded() {
    let mut project = small(Project::measuring(), Over::Stdio, &[])
        .tool(WAIT)
        .config("suite.rounds", 5);
    project
        .run(&["calibrate", "2", "--quiet"])
        .code(0)
        .stdout_has("The server with itself, 2 comparisons")
        .stdout_has("False alarms: 0 of 2");
    project
        .run(&["calibrate", "1", "--inject", "4", "--quiet"])
        .code(0)
        .stdout_has("The server with itself, 2 comparisons")
        .stdout_has("Answers slowed by 300 %, 1 comparison")
        .stdout_has("Found: 1 of 1");
    project
        .run(&["calibrate", "--inject", "0.5"])
        .code(2)
        .stderr_has("write a number above 1");
    let path = "baselines/perf-calibration.json";
    let mut file: Calibration = serde_json::from_str(&project.read(path)).expect("a calibration");
    let factors: Vec<f64> = file.controls.iter().map(|c| c.factor).collect();
    assert_eq!(factors, [1.0, 4.0]);
    // Had it erred, the scenario would be shown only.
    for scenario in &mut file.controls[0].scenarios {
        if scenario.scenario.starts_with("wait/") {
            (scenario.suites, scenario.regressed) = (20, 5);
        }
    }
    project.run(&["run", "--quiet"]).code(0);
    project.run(&["baseline", "update"]).code(0);
    let slow = command(Over::Stdio, &["--fault", "delay=wait:25"]);
    project.set_config("server.command", slow);
    let outcome = project.run(&["compare", "--quiet"]).code(1);
    outcome.stdout_has("regressed: wait");
    // Beside another baseline, it is heeded by whoever names that.
    let text = serde_json::to_string(&file).expect("JSON");
    let project = project.file("baselines/other.calibration.json", &text);
    let both = [
        "compare",
        "baselines/perf-baseline.json",
        "mcpgate-results.json",
    ];
    project.run(&both).code(1).stdout_has("regressed: wait");
    let named = [&both[..], &["--baseline", "baselines/other.json"]].concat();
    project
        .run(&named)
        .code(0)
        .stdout_has("reported only: called regressed in 5 of 20");
    let project = project.file(path, &text);
    project.run(&["compare", "--quiet"]).code(0).stdout_has(
        "wait/sequential · reported only: called regressed in 5 of 20 comparisons of the server with",
    );
    let project = project.file(path, "{}");
    project
        .run(&["compare", "--quiet"])
        .code(2)
        .stderr_has("not a calibration that this version can read");
}

#[test]
fn an_interrupted_calibration_keeps_the_suites_that_ended() {
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .config("suite.rounds", 5);
    let running = project.start(&["calibrate", "1000"]);
    running.until("in the second suite", || {
        project.read(".stderr").contains("suite 2 of 1000")
    });
    running.signal(Signal::TERM);
    running
        .wait()
        .code(3)
        .stdout_has("The server with itself, 1 comparison")
        .stderr_has("interrupted ");
}
