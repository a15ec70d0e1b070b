"""What the product's recall is compared with: BM25 alone, and the vectors of single rounds alone."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from collections import Counter
from dataclasses import dataclass

import numpy as np
from locomo_data import Conversation, Ranked, Score
from numpy.typing import NDArray
from pool import Embeddings

WORD = re.compile(r"\w+")
K1, B = 1.2, 0.75


@dataclass(frozen=True)
class Document:
    place: Ranked
    text: str


def documents(conversation: Conversation, rounds: int) -> list[Document]:
    """Batches of `rounds` rounds inside each session, as they were said."""
    found = []
    for session in conversation.sessions:
        all_rounds = session.rounds()
        for at in range(0, len(all_rounds), rounds):
            batch = all_rounds[at : at + rounds]
            place = Ranked(session.name, at + 1, at + len(batch))
            found.append(Document(place, "\n".join(line.text for lines in batch for line in lines)))
    return found


def words_alone(conversations: list[Conversation], rounds: int) -> Score:
    score = Score()
    for conversation in conversations:
        all_documents = documents(conversation, rounds)
        counts = [Counter(_words(document.text)) for document in all_documents]
        frequency = Counter(word for count in counts for word in count)
        average = sum(count.total() for count in counts) / len(counts)
        for question in conversation.questions:
            asked = set(_words(question.text))
            scores = [
                sum(_weight(count, word, frequency[word], len(counts), average) for word in asked)
                for count in counts
            ]
            score.add(conversation, question, _best(all_documents, np.array(scores)))
    return score


def _weight(count: Counter[str], word: str, frequency: int, total: int, average: float) -> float:
    if not count[word]:
        return 0
    rarity = math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
    return rarity * count[word] * (K1 + 1) / (count[word] + K1 * (1 - B + B * count.total() / average))


def vectors_alone(conversations: list[Conversation], model: Embeddings) -> Score:
    score = Score()
    for conversation in conversations:
        rounds = documents(conversation, 1)
        rows = embedded(model, [document.text for document in rounds])
        for question in conversation.questions:
            score.add(conversation, question, _best(rounds, rows @ embedded(model, [question.text])[0]))
    return score


def embedded(model: Embeddings, texts: list[str]) -> NDArray[np.float64]:
    vectors = []
    for at in range(0, len(texts), 32):
        body = json.dumps({"model": model.model, "input": texts[at : at + 32]}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(model.url + "/embeddings", body, headers)
        vectors += [item["embedding"] for item in json.load(urllib.request.urlopen(request))["data"]]
    return np.array(vectors)


def _best(all_documents: list[Document], scores: NDArray[np.float64]) -> list[Ranked]:
    return [all_documents[index].place for index in np.argsort(-scores, kind="stable")]


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())
