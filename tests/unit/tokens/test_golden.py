import pytest

MODELS = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4", "deepseek": "deepseek-chat"}


@pytest.mark.parametrize(("name", "model"), MODELS.items())
def test_counts_equal_those_of_the_reference(tokenizers, golden, name, model):
    expected = {text["name"]: text[name] for text in golden}

    assert {text["name"]: tokenizers.count_text(model, text["text"]).tokens for text in golden} == expected


@pytest.mark.parametrize(("name", "model"), MODELS.items())
def test_many_texts_count_as_much_as_each_by_itself(tokenizers, golden, name, model):
    texts = [text["text"] for text in golden]

    assert tokenizers.for_model(model).count_all(texts) == sum(text[name] for text in golden)


@pytest.mark.parametrize(("name", "model"), MODELS.items())
def test_a_known_family_counts_exactly_and_names_its_vocabulary(tokenizers, name, model):
    count = tokenizers.count_text(model, "one two three")

    assert (count.tokens, count.estimated, count.tokenizer) == (3, False, name)


@pytest.mark.parametrize("model", [*MODELS.values(), "some-other-model"])
def test_special_tokens_count_as_the_text_they_are(tokenizers, model):
    for special in ("<|endoftext|>", "<|im_start|>", "<think>", "<\uff5cUser\uff5c>", "<\uff5cend▁of▁sentence\uff5c>"):
        assert tokenizers.count_text(model, special).tokens > 1


@pytest.mark.parametrize("model", [*MODELS.values(), "some-other-model"])
def test_a_lone_surrogate_counts_as_a_replacement_character(tokenizers, model):
    counts = [tokenizers.count_text(model, f"a {letter} b").tokens for letter in ("\ud800", "\udfff", "\ufffd")]

    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("model", MODELS.values())
def test_a_pair_of_surrogates_counts_as_the_character_it_stands_for(tokenizers, model):
    assert tokenizers.count_text(model, "\ud83d\ude80").tokens == tokenizers.count_text(model, "\U0001f680").tokens
