//! What a caller is told when a connection ends, stalls, or is not there.

use super::*;
use crate::connection::{ConnectOptions, ConnectionError};

#[tokio::test]
async fn a_cut_before_the_answer_is_unknown_and_not_repeated() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let ticket = enqueue(&producer, ["a".to_owned()]).await.remove(0);
    fake.expect(&["PUB t a"]).await;
    drop(fake);
    let error = ticket.await.unwrap_err();
    assert!(
        matches!(error, PublishError::Unknown { cause: Some(_), .. }),
        "{error:?}"
    );
    assert!(error.maybe_stored());

    let mut fake = listener.accept().await;
    let ticket = enqueue(&producer, ["b".to_owned()]).await.remove(0);
    fake.confirm(&["PUB t b"]).await;
    ticket.await.unwrap();
    assert_eq!(
        (producer.stats().unknown, producer.stats().connects),
        (1, 2)
    );
}

#[tokio::test]
async fn a_cut_before_the_answer_is_repeated_if_asked_for() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let publish = producer
        .publish(&topic(), "a")
        .retry(RetryPolicy::at_least_once());
    let ticket = publish.enqueue().await.unwrap();
    fake.expect(&["PUB t a"]).await;
    drop(fake);
    listener.accept().await.confirm(&["PUB t a"]).await;
    assert_eq!(ticket.await.unwrap().attempts, 2);
    assert_eq!(producer.stats().retried, 1);
}

#[tokio::test]
async fn a_late_answer_is_not_taken_for_the_next() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let brief = producer
        .publish(&topic(), "a")
        .timeout(Duration::from_millis(20));
    let ticket = brief.enqueue().await.unwrap();
    fake.expect(&["PUB t a"]).await;
    let error = ticket.await.unwrap_err();
    assert!(
        matches!(error, PublishError::Timeout { maybe_stored: true }),
        "{error:?}"
    );

    let ticket = enqueue(&producer, ["b".to_owned()]).await.remove(0);
    fake.expect(&["PUB t b"]).await;
    fake.ok().await;
    fake.refuse("E_BAD_MESSAGE b is refused, a was not").await;
    assert!(matches!(ticket.await, Err(PublishError::Rejected { .. })));
    assert_eq!(producer.stats().pending, 0);
}

#[tokio::test]
async fn without_an_nsqd_a_publish_fails_when_its_time_is_over() {
    let listener = Listener::bind().await;
    let address = listener.address();
    drop(listener);
    let producer = Producer::builder().nsqd(address).build().unwrap();
    let publish = producer
        .publish(&topic(), "a")
        .timeout(Duration::from_millis(30));
    let error = publish.await.unwrap_err();
    assert!(
        matches!(
            error,
            PublishError::Timeout {
                maybe_stored: false
            }
        ),
        "{error:?}"
    );
    let error = producer.publish(&topic(), "a").try_enqueue().unwrap_err();
    assert!(matches!(error, PublishError::NotSent { .. }), "{error:?}");
    let error = producer.ready(Duration::from_millis(1)).await.unwrap_err();
    assert!(
        matches!(error.cause, ConnectionError::Connect(_)),
        "{error:?}"
    );
    assert!(producer.nodes()[0].last_error.is_some());
}

#[tokio::test]
async fn an_nsqd_that_does_not_answer_is_given_up() {
    let listener = Listener::bind().await;
    let builder = builder(&[&listener]).reply_timeout(Duration::from_millis(30));
    let (producer, mut fake) = connected_with(builder, &listener).await;
    let ticket = enqueue(&producer, ["a".to_owned()]).await.remove(0);
    fake.expect(&["PUB t a"]).await;
    let mut again = listener.accept().await;
    assert!(ticket.await.unwrap_err().maybe_stored());
    let ticket = enqueue(&producer, ["b".to_owned()]).await.remove(0);
    again.confirm(&["PUB t b"]).await;
    ticket.await.unwrap();
}

#[tokio::test]
async fn a_silent_nsqd_is_given_up_before_anything_is_lost_with_it() {
    let listener = Listener::bind().await;
    let mut options = ConnectOptions::default();
    options.identify.heartbeat_interval = Some(20);
    let (_producer, mut fake) =
        connected_with(builder(&[&listener]).options(options), &listener).await;
    fake.respond(b"_heartbeat_").await;
    fake.expect(&["NOP"]).await;
    listener.accept().await;
    assert_eq!(fake.try_command().await, None);
}

#[tokio::test]
async fn heartbeats_are_answered_whatever_the_caller_does() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let _ticket_nobody_awaits = enqueue(&producer, ["a".to_owned()]).await;
    fake.expect(&["PUB t a"]).await;
    for _ in 0..3 {
        fake.respond(b"_heartbeat_").await;
        fake.expect(&["NOP"]).await;
    }
    fake.ok().await;
    producer.flush().await;
    assert_eq!(producer.stats().published, 1);
}

#[tokio::test]
async fn what_no_nsqd_would_take_is_never_sent() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let topic = topic();
    let check = |outcome: Result<Receipt, PublishError>, expected: Invalid| match outcome {
        Err(PublishError::Invalid(invalid)) => assert_eq!(invalid, expected),
        other => panic!("{other:?}"),
    };
    check(
        producer.publish(&topic, "").await,
        Invalid::Empty { index: 0 },
    );
    let max = 1024 * 1024;
    let bytes = max + 1;
    let large = vec![b'x'; bytes];
    check(
        producer.publish(&topic, large).await,
        Invalid::TooLarge {
            index: 0,
            bytes,
            max,
        },
    );
    let (delay, max) = (Duration::from_secs(3601), Duration::from_hours(1));
    let deferred = producer.publish(&topic, "a").delay(delay);
    check(deferred.await, Invalid::DelayTooLong { delay, max });
    let elsewhere: Address = "elsewhere:1".parse().unwrap();
    let pinned = producer.publish(&topic, "a").on(&elsewhere);
    check(pinned.await, Invalid::NoSuchNode(elsewhere));
    let none = producer.publish_many(&topic, Vec::<&str>::new()).await;
    check(Err(none.unwrap_err().first().clone()), Invalid::NoMessages);
    let second = producer.publish_many(&topic, ["a", ""]).await;
    check(
        Err(second.unwrap_err().first().clone()),
        Invalid::Empty { index: 1 },
    );

    let _ticket = producer.publish(&topic, "a").try_enqueue().unwrap();
    fake.expect(&["PUB t a"]).await;
}

#[tokio::test]
async fn values_are_written_by_their_codec() {
    use crate::typed::Json;
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let numbers: TypedTopic<[u32; 2]> = TypedTopic::new(topic(), Json);
    let _ticket = producer
        .publish_value(&numbers, &[1, 2])
        .try_enqueue()
        .unwrap();
    fake.expect(&["PUB t [1,2]"]).await;

    // JSON has no keys that are lists.
    let strange: TypedTopic<std::collections::BTreeMap<Vec<u8>, u8>> =
        TypedTopic::new(topic(), Json);
    let outcome = producer
        .publish_value(&strange, &[(vec![1], 1)].into())
        .await;
    assert!(matches!(
        outcome,
        Err(PublishError::Invalid(Invalid::Encode(_)))
    ));
}
