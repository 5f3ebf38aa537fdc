//! Bounds: how much may be pending, and how a producer ends.

use super::*;

#[tokio::test]
async fn beyond_what_may_be_pending_a_publish_waits() {
    let listener = Listener::bind().await;
    let builder = builder(&[&listener]).max_pending(2, 1000);
    let (producer, mut fake) = connected_with(builder, &listener).await;
    let _tickets = enqueue(&producer, ["a", "b"].map(str::to_owned)).await;
    let topic = topic();
    let full = producer.publish(&topic, "c").try_enqueue().unwrap_err();
    assert!(matches!(full, PublishError::Full));
    let late = producer
        .publish(&topic, "c")
        .timeout(Duration::from_millis(5))
        .await;
    assert!(matches!(
        late,
        Err(PublishError::Timeout {
            maybe_stored: false
        })
    ));

    let third = producer.publish(&topic, "d").enqueue();
    let ((), third) = tokio::join!(fake.confirm(&["PUB t a"]), third);
    let third = third.unwrap();
    fake.confirm(&["PUB t b", "PUB t d"]).await;
    third.await.unwrap();
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let listener = Listener::bind().await;
    let builder = builder(&[&listener])
        .max_pending(100, 10)
        .when_full(WhenFull::Fail);
    let (producer, mut fake) = connected_with(builder, &listener).await;
    let topic = topic();
    let ticket = producer.publish(&topic, "123456").enqueue().await.unwrap();
    let full = producer
        .publish(&topic, "12345")
        .enqueue()
        .await
        .unwrap_err();
    assert!(matches!(full, PublishError::Full));
    fake.confirm(&["PUB t 123456"]).await;
    ticket.await.unwrap();
    producer.flush().await;
    // More than there is room for at all goes when nothing else is pending.
    let ticket = producer
        .publish(&topic, "12345678901")
        .enqueue()
        .await
        .unwrap();
    fake.confirm(&["PUB t 12345678901"]).await;
    ticket.await.unwrap();
}

#[tokio::test]
async fn shutdown_waits_for_what_is_pending_and_tells() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let tickets = enqueue(&producer, ["a", "b"].map(str::to_owned)).await;
    let other = producer.clone();
    let (report, ()) = tokio::join!(producer.shutdown(LONG), async {
        fake.expect(&["PUB t a", "PUB t b"]).await;
        let closed = other.publish(&topic(), "c").await;
        assert!(matches!(closed, Err(PublishError::Closed)));
        fake.ok().await;
        fake.ok().await;
        assert_eq!(fake.try_command().await, None);
    });
    assert_eq!((report.acked, report.failed, report.unknown), (2, 0, 0));
    for ticket in tickets {
        ticket.await.unwrap();
    }
}

#[tokio::test]
async fn after_the_deadline_of_a_shutdown_nothing_is_left_open() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let tickets = enqueue(&producer, ["a".to_owned()]).await;
    fake.expect(&["PUB t a"]).await;
    let report = producer.shutdown(Duration::from_millis(10)).await;
    assert_eq!((report.acked, report.failed, report.unknown), (0, 0, 1));
    for ticket in tickets {
        assert!(ticket.await.unwrap_err().maybe_stored());
    }
}

#[tokio::test]
async fn a_shutdown_without_an_nsqd_tells_what_was_not_sent() {
    let listener = Listener::bind().await;
    let address = listener.address();
    drop(listener);
    let producer = Producer::builder().nsqd(address).build().unwrap();
    let ticket = enqueue(&producer, ["a".to_owned()]).await.remove(0);
    let report = producer.shutdown(Duration::from_millis(10)).await;
    assert_eq!((report.acked, report.failed, report.unknown), (0, 1, 0));
    assert!(matches!(ticket.await, Err(PublishError::Closed)));
}

#[tokio::test]
async fn what_is_queued_is_finished_after_the_last_handle_is_gone() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let ticket = enqueue(&producer, ["a".to_owned()]).await.remove(0);
    drop(producer);
    fake.confirm(&["PUB t a"]).await;
    ticket.await.unwrap();
    assert_eq!(fake.try_command().await, None, "then it disconnects");
}
