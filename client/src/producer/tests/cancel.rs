//! Futures that are dropped before they are done.

use tokio::time::timeout;

use super::*;

const BRIEFLY: Duration = Duration::from_millis(10);

#[tokio::test]
async fn a_publish_dropped_before_it_is_queued_was_never_there() {
    let listener = Listener::bind().await;
    let builder = builder(&[&listener]).max_pending(1, 1000);
    let (producer, mut fake) = connected_with(builder, &listener).await;
    let topic = topic();
    drop(producer.publish(&topic, "never"));
    let first = producer.publish(&topic, "a").enqueue().await.unwrap();
    let waiting = producer.publish(&topic, "dropped").enqueue();
    assert!(timeout(BRIEFLY, waiting).await.is_err(), "there is no room");
    fake.confirm(&["PUB t a"]).await;
    first.await.unwrap();
    let next = producer.publish(&topic, "b").enqueue().await.unwrap();
    fake.confirm(&["PUB t b"]).await;
    next.await.unwrap();
    assert_eq!(producer.stats().published, 2);
}

#[tokio::test]
async fn a_publish_dropped_while_awaited_is_sent_and_keeps_its_slot() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let topic = topic();
    assert!(
        timeout(BRIEFLY, producer.publish(&topic, "a").into_future())
            .await
            .is_err()
    );
    drop(enqueue(&producer, ["b".to_owned()]).await);
    let third = producer.publish(&topic, "c").enqueue().await.unwrap();
    fake.confirm(&["PUB t a", "PUB t b"]).await;
    fake.expect(&["PUB t c"]).await;
    fake.refuse("E_BAD_MESSAGE only this one").await;
    assert!(matches!(third.await, Err(PublishError::Rejected { .. })));
    assert_eq!(producer.stats().published, 2);
}

#[tokio::test]
async fn a_dropped_flush_changes_nothing() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let _first = enqueue(&producer, ["a".to_owned()]).await;
    assert!(
        timeout(BRIEFLY, producer.flush()).await.is_err(),
        "a is open"
    );
    assert!(timeout(BRIEFLY, producer.ready(LONG)).await.is_ok());
    let _second = enqueue(&producer, ["b".to_owned()]).await;
    let ((), ()) = tokio::join!(producer.flush(), fake.confirm(&["PUB t a", "PUB t b"]));
    assert_eq!(producer.stats().published, 2);
}

#[tokio::test]
async fn a_dropped_shutdown_goes_on() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let ticket = enqueue(&producer, ["a".to_owned()]).await.remove(0);
    let again = producer.clone();
    assert!(timeout(BRIEFLY, producer.shutdown(LONG)).await.is_err());
    let (report, ()) = tokio::join!(again.shutdown(LONG), fake.confirm(&["PUB t a"]));
    assert_eq!(report.acked, 1);
    ticket.await.unwrap();
}
