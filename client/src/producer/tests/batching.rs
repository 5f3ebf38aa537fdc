//! Many messages in one command.

use super::*;

/// Never full by itself within a test.
const WIDE: BatchConfig = BatchConfig {
    messages: 100,
    bytes: 10_000,
    linger: LONG,
};

async fn merge(batcher: &Batcher, bodies: &[&'static str]) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for body in bodies {
        tickets.push(batcher.enqueue(*body).await.unwrap());
    }
    tickets
}

#[tokio::test]
async fn publish_many_is_one_command_when_it_fits() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let topic = topic();
    let many = producer.publish_many(&topic, ["a", "b", "c"]);
    let (receipts, ()) = tokio::join!(many.into_future(), fake.confirm(&["MPUB t a,b,c"]));
    assert_eq!(receipts.unwrap().len(), 1);
}

#[tokio::test]
async fn one_task_keeps_many_batches_in_flight() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let topic = topic();
    let first = producer.publish_many(&topic, ["a", "b"]).enqueue().await;
    let second = producer.publish_many(&topic, ["c"]).enqueue().await;
    fake.confirm(&["MPUB t a,b", "MPUB t c"]).await;
    assert_eq!(first.unwrap().await.unwrap().len(), 1);
    assert_eq!(second.unwrap().await.unwrap().len(), 1);
    let refused = producer.publish_many(&topic, ["d", ""]).enqueue().await;
    let failed: Vec<usize> = refused.unwrap_err().failed().map(|(at, _)| at).collect();
    assert_eq!(failed, [0, 1]);
}

#[tokio::test]
async fn publish_many_tells_of_each_message() {
    let listener = Listener::bind().await;
    let limits = Limits {
        max_body_size: 4 + 2 * 5,
        ..Limits::default()
    };
    let (producer, mut fake) =
        connected_with(builder(&[&listener]).limits(limits), &listener).await;
    let topic = topic();
    let many = producer.publish_many(&topic, ["a", "b", "c", "d", "e"]);
    let (outcome, ()) = tokio::join!(many.into_future(), async {
        fake.confirm(&["MPUB t a,b"]).await;
        fake.expect(&["MPUB t c,d"]).await;
        fake.refuse("E_BAD_MESSAGE MPUB one is wrong").await;
        listener.accept().await.confirm(&["MPUB t e"]).await;
    });
    let error = outcome.unwrap_err();
    let failed: Vec<usize> = error.failed().map(|(index, _)| index).collect();
    assert_eq!(failed, [2, 3]);
    let parts: Vec<_> = error
        .parts()
        .iter()
        .map(|part| part.messages.clone())
        .collect();
    assert_eq!(parts, [0..2, 2..4, 4..5]);
}

#[tokio::test]
async fn a_batch_leaves_when_it_is_full() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let batcher = producer.batcher(
        &topic(),
        BatchConfig {
            messages: 2,
            ..WIDE
        },
    );
    let tickets = merge(&batcher, &["a", "b", "c", "d", "e"]).await;
    fake.confirm(&["MPUB t a,b", "MPUB t c,d"]).await;
    let ((), ()) = tokio::join!(batcher.flush(), fake.confirm(&["MPUB t e"]));
    for ticket in tickets {
        ticket.await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_is_never_larger_than_allowed() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let bytes = 4 + 2 * (4 + 2);
    let batcher = producer.batcher(&topic(), BatchConfig { bytes, ..WIDE });
    let _tickets = merge(&batcher, &["aa", "bb", "cc", "dd", "ee"]).await;
    fake.confirm(&["MPUB t aa,bb", "MPUB t cc,dd"]).await;
    drop(batcher);
    fake.confirm(&["MPUB t ee"]).await;
}

#[tokio::test]
async fn a_batch_does_not_wait_longer_than_it_may() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let linger = Duration::from_millis(5);
    let batcher = producer.batcher(&topic(), BatchConfig { linger, ..WIDE });
    for body in ["a", "b"] {
        let command = format!("MPUB t {body}");
        let (receipt, ()) = tokio::join!(batcher.publish(body), async {
            assert_eq!(fake.command().await, command);
            fake.ok().await;
        });
        receipt.unwrap();
    }
}

#[tokio::test]
async fn only_the_offending_message_of_a_batch_is_refused() {
    let listener = Listener::bind().await;
    let (producer, mut fake) = connected(&listener).await;
    let batcher = producer.batcher(
        &topic(),
        BatchConfig {
            messages: 5,
            ..WIDE
        },
    );
    let tickets = merge(&batcher, &["a", "b", "BAD", "d", "e"]).await;
    let serve = async {
        let mut stored = Vec::new();
        while stored.len() < 4 {
            let command = fake.command().await;
            let bodies = command.strip_prefix("MPUB t ").expect("a batch").to_owned();
            if bodies.contains("BAD") {
                fake.refuse("E_BAD_MESSAGE MPUB one is wrong").await;
                fake = listener.accept().await;
            } else {
                fake.ok().await;
                stored.extend(bodies.split(',').map(str::to_owned));
            }
        }
        stored
    };
    assert_eq!(serve.await, ["a", "b", "d", "e"]);
    let mut refused = Vec::new();
    for (index, ticket) in tickets.into_iter().enumerate() {
        if ticket.await.is_err() {
            refused.push(index);
        }
    }
    assert_eq!(refused, [2]);
    producer.flush().await;
    assert_eq!(
        (producer.stats().pending, producer.stats().pending_bytes),
        (0, 0)
    );
}
