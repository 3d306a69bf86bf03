const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn answers_are_matched_by_id_out_of_order() {
    let link = scripted(|number, _| {
        match number {
        0 => String::new(),
        _ => "{\"id\":2,\"result\":\"b\"}\n\n{\"method\":\"notifications/x\"}\n{\"id\":1,\"result\":\"a\"}\n".to_owned(),
    }
    });
    let (a, b) = tokio::join!(link.send(1, line(), SHORT), link.send(2, line(), SHORT));
    assert!(a.unwrap().body.ends_with(b"\"a\"}"));
    assert!(b.unwrap().body.ends_with(b"\"b\"}"));
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_time_out_and_a_late_answer_is_no_stray() {
    let link = scripted(|number, line| match number {
        0 => String::new(),
        _ if line.contains("notifications/cancelled") => String::new(),
        _ => "{\"id\":1,\"result\":0}\n{\"id\":2,\"result\":0}\n".to_owned(),
    });
    assert_eq!(link.next_id(), 1);
    assert_eq!(link.next_id(), 2);
    assert_eq!(
        link.send(1, line(), SHORT).await.unwrap_err().kind,
        ErrorKind::Timeout
    );
    assert!(link.send(2, line(), SHORT).await.is_ok());
    assert_eq!(link.take_strays(), Strays::default());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asked_for_is_counted() {
    let link = scripted(|_, _| {
        "{\"id\":1,\"result\":0}\n{\"id\":1,\"result\":0}\n{\"id\":\"a\",\"result\":0}\n"
            .to_owned()
    });
    let id = link.next_id();
    link.send(id, line(), SHORT).await.unwrap();
    assert_eq!(
        link.take_strays(),
        Strays {
            count: 2,
            sample: "a second answer under id 1".to_owned()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn each_way_down_has_its_own_words() {
    let table = [
        ("close", ErrorKind::Closed, "the server closed its output"),
        (
            "hello\n",
            ErrorKind::Malformed,
            "no JSON-RPC message: \"hello\"",
        ),
        (
            "{\"id\":99,\"result\":0}\n",
            ErrorKind::WrongAnswer,
            "answered under id 99",
        ),
    ];
    for (answer, kind, words) in table {
        let link = scripted(move |_, _| answer.to_owned());
        let error = link.send(link.next_id(), line(), SHORT).await.unwrap_err();
        assert_eq!(error.kind, kind, "{answer}");
        assert!(error.message.contains(words), "{}", error.message);
    }
    let long = "x".repeat(2000);
    let link = scripted(move |_, _| long.clone());
    let error = link.send(link.next_id(), line(), SHORT).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert_eq!(link.down().unwrap().kind, ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn requests_of_the_server_are_answered() {
    let link = scripted(|number, line| match number {
        0 => "{\"id\":\"s\",\"method\":\"ping\"}\n".to_owned(),
        _ => {
            assert_eq!(line, r#"{"jsonrpc":"2.0","id":"s","result":{}}"#);
            "{\"id\":1,\"result\":0}\n".to_owned()
        }
    });
    link.send(link.next_id(), line(), SHORT).await.unwrap();
}
