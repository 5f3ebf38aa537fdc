//! The order of answers, and what a connection leaves behind.

use super::super::pipeline::Pipeline;
use super::*;

/// Four publishes of 10 bytes each, the second with less time than the others.
fn four(now: Instant) -> Pipeline {
    let mut pipeline = Pipeline::default();
    for (number, body) in (1..).zip(["a", "b", "c", "d"]) {
        let time = if body == "b" { 1 } else { 5 };
        let (job, _outcome) = job(body, now + Duration::from_secs(time));
        pipeline.sent(job, 10 * number, now);
    }
    pipeline
}

fn next(pipeline: &mut Pipeline) -> Vec<String> {
    bodies(&pipeline.answered().expect("one waits").job)
}

#[tokio::test]
async fn answers_are_for_the_oldest() {
    let mut pipeline = four(Instant::now());
    assert_eq!(next(&mut pipeline), ["a"]);
    assert_eq!(next(&mut pipeline), ["b"]);
    assert_eq!(bodies(&pipeline.refused()), ["c", "d"]);
    assert!(pipeline.answered().is_none());
}

#[tokio::test]
async fn a_late_publish_keeps_its_place() {
    let now = Instant::now();
    let mut pipeline = four(now);
    assert_eq!(pipeline.earliest(), Some(now + Duration::from_secs(1)));
    assert!(bodies(&pipeline.expire(now)).is_empty());
    assert_eq!(
        bodies(&pipeline.expire(now + Duration::from_secs(1))),
        ["b"]
    );
    assert_eq!(pipeline.earliest(), Some(now + Duration::from_secs(5)));

    assert_eq!(next(&mut pipeline), ["a"]);
    assert!(
        next(&mut pipeline).is_empty(),
        "the answer to b is for nobody"
    );
    assert_eq!(next(&mut pipeline), ["c"]);
}

#[tokio::test]
async fn only_what_had_left_whole_is_unsure() {
    let check = |taken, unsure: &[&str], untouched: &[&str]| {
        let lost = four(Instant::now()).lost(taken);
        assert_eq!(bodies(&lost.unsure), unsure, "{taken} bytes taken");
        assert_eq!(bodies(&lost.untouched), untouched, "{taken} bytes taken");
    };
    check(0, &[], &["a", "b", "c", "d"]);
    check(9, &[], &["a", "b", "c", "d"]);
    check(10, &["a"], &["b", "c", "d"]);
    check(39, &["a", "b", "c"], &["d"]);
    check(40, &["a", "b", "c", "d"], &[]);
}

#[tokio::test]
async fn what_was_late_is_not_left_behind() {
    let now = Instant::now();
    let mut pipeline = four(now);
    pipeline.expire(now + Duration::from_secs(1));
    assert_eq!(bodies(&pipeline.lost(40).unsure), ["a", "c", "d"]);
    assert_eq!(pipeline.waiting_since(), None);
}
