//! A topic as a sink.

use futures_util::{SinkExt as _, StreamExt as _, stream};

use super::*;

/// The bodies in these commands, in their order.
fn bodies_of(commands: &[String]) -> Vec<&str> {
    let lists = commands
        .iter()
        .filter_map(|command| command.rsplit(' ').next());
    lists.flat_map(|list| list.split(',')).collect()
}

#[tokio::test]
async fn what_is_forwarded_is_stored_when_it_is_over() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let confirming = tokio::spawn(async move { fake.confirm_all().await });
    let lines: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let forwarding = stream::iter(lines.clone())
        .map(Ok)
        .forward(producer.sink(&topic()));
    forwarding.await.unwrap();
    assert_eq!(producer.stats().pending, 0);
    producer.shutdown(LONG).await;
    assert_eq!(bodies_of(&confirming.await.unwrap()), lines);
}

#[tokio::test]
async fn an_error_is_of_one_message_only() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let confirming = tokio::spawn(async move { fake.confirm_all().await });
    let mut sink = producer.sink(&topic());
    sink.send("a").await.unwrap();
    let error = sink.send("").await.unwrap_err();
    assert!(matches!(error, PublishError::Invalid(_)), "{error}");
    sink.send("b").await.unwrap();
    drop(sink);
    producer.shutdown(LONG).await;
    assert_eq!(bodies_of(&confirming.await.unwrap()), ["a", "b"]);
}

#[tokio::test]
async fn a_sink_waits_for_room() {
    let listener = Listener::bind().await;
    let builder = builder(&[&listener]).max_pending(2, 1000);
    let (producer, mut fake) = connected_with(builder, &listener).await;
    let mut sink = producer.sink(&topic());
    let full = tokio::time::timeout(Duration::from_millis(50), async {
        for body in ["a", "b", "c", "d"] {
            sink.feed(body).await.unwrap();
        }
    });
    full.await.unwrap_err();
    let confirming = tokio::spawn(async move { fake.confirm_all().await });
    sink.send("e").await.unwrap();
    drop(sink);
    producer.shutdown(LONG).await;
    assert_eq!(bodies_of(&confirming.await.unwrap()), ["a", "b", "c", "e"]);
}
