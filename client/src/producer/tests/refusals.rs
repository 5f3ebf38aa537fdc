//! What an nsqd refuses, and what happens to the publishes around it.

use super::super::events::Event;
use super::*;
use crate::connection::ConnectionError;
use crate::wire::ErrorCode;

#[tokio::test]
async fn untouched_successors_of_a_refused_publish_are_replayed_in_order() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let mut events = producer.events();
    let tickets = enqueue(&producer, (1..=10).map(|number| number.to_string())).await;
    fake.confirm(&["PUB t 1", "PUB t 2", "PUB t 3", "PUB t 4"])
        .await;
    fake.expect(&["PUB t 5"]).await;
    fake.refuse("E_BAD_MESSAGE PUB message too big").await;
    drop(fake);

    let mut fake = listener.accept().await;
    fake.confirm(&["PUB t 6", "PUB t 7", "PUB t 8", "PUB t 9", "PUB t 10"])
        .await;
    for (number, ticket) in (1..).zip(tickets) {
        match ticket.await {
            Ok(receipt) => {
                assert_ne!(number, 5);
                assert_eq!(receipt.attempts, 1, "a replay is no second attempt");
            }
            Err(PublishError::Rejected { code, text, .. }) => {
                assert_eq!(number, 5);
                assert_eq!(code, Some(ErrorCode::BadMessage));
                assert_eq!(text, "E_BAD_MESSAGE PUB message too big");
            }
            Err(error) => panic!("{number}: {error:?}"),
        }
    }
    let stats = producer.stats();
    assert_eq!((stats.published, stats.rejected), (9, 1));
    assert_eq!(
        (stats.replayed, stats.pending, stats.pending_bytes),
        (5, 0, 0)
    );
    let rejected = loop {
        if let Event::Rejected { replayed, .. } = events.recv().await.unwrap() {
            break replayed;
        }
    };
    assert_eq!(rejected, 5);
}

#[tokio::test]
async fn what_is_behind_an_unknown_refusal_is_unknown() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let tickets = enqueue(&producer, ["a", "b"].map(str::to_owned)).await;
    fake.expect(&["PUB t a", "PUB t b"]).await;
    fake.refuse("E_FIN_FAILED not what a publish gets").await;
    let [first, second] = <[Ticket; 2]>::try_from(tickets).unwrap();
    assert!(matches!(first.await, Err(PublishError::Rejected { .. })));
    assert!(second.await.unwrap_err().maybe_stored());
}

#[tokio::test]
async fn an_nsqd_that_cannot_store_is_tried_again_later() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let tickets = enqueue(&producer, ["a", "b"].map(str::to_owned)).await;
    fake.expect(&["PUB t a"]).await;
    fake.refuse("E_PUB_FAILED PUB failed disk full").await;
    drop(fake);
    listener
        .accept()
        .await
        .confirm(&["PUB t a", "PUB t b"])
        .await;
    let mut attempts = Vec::new();
    for ticket in tickets {
        attempts.push(ticket.await.unwrap().attempts);
    }
    assert_eq!(attempts, [2, 1]);
    assert_eq!(producer.stats().retried, 1);
}

#[tokio::test]
async fn attempts_are_bounded() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let retry = RetryPolicy {
        attempts: 2,
        ..RetryPolicy::default()
    };
    let ticket = producer
        .publish(&topic(), "a")
        .retry(retry)
        .enqueue()
        .await
        .unwrap();
    for _ in 0..2 {
        fake.expect(&["PUB t a"]).await;
        fake.refuse("E_PUB_FAILED PUB failed disk full").await;
        fake = listener.accept().await;
    }
    let error = ticket.await.unwrap_err();
    assert!(matches!(
        error,
        PublishError::Rejected {
            code: Some(ErrorCode::PubFailed),
            ..
        }
    ));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn an_nsqd_that_refuses_this_client_fails_publishes_at_once() {
    let listener = Listener::bind().await;
    let producer = builder(&[&listener]).build().unwrap();
    let topic = topic();
    let (refused, published, ready) = tokio::join!(
        async {
            let mut fake = listener.accept_silently().await;
            fake.expect(&["IDENTIFY"]).await;
            fake.respond(br#"{"auth_required":true}"#).await;
        },
        producer.publish(&topic, "a"),
        producer.ready(LONG)
    );
    let () = refused;
    let Err(PublishError::NotSent { cause: Some(cause) }) = published else {
        panic!("{published:?}");
    };
    assert!(matches!(cause.cause, ConnectionError::SecretNeeded));
    assert!(matches!(
        ready.unwrap_err().cause,
        ConnectionError::SecretNeeded
    ));
    let later = producer.publish(&topic, "b").await;
    assert!(matches!(later, Err(PublishError::NotSent { .. })));
}
