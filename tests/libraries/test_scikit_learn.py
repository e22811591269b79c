"""scikit-learn by joblib's backend: the same models as in one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 110.0


@on_ranks(1, 2, 4)
def test_models_are_those_of_one_process(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import joblib, numpy as np
        from sklearn.datasets import make_classification
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, cross_val_score
        from scoop_mpi.joblib import register

        def search(X, y):
            grid = {"C": [0.1, 1.0, 10.0]}
            return GridSearchCV(LogisticRegression(), grid, cv=3, n_jobs=-1).fit(X, y)

        def scores(X, y):
            return cross_val_score(LogisticRegression(), X, y, cv=5, n_jobs=-1)

        def forest(X, y):
            return RandomForestClassifier(20, random_state=1, n_jobs=-1).fit(X, y).predict(X)

        def nested(X, y):
            forests = RandomForestClassifier(5, random_state=1, n_jobs=-1)
            return cross_val_score(forests, X, y, cv=3, n_jobs=-1)

        def results(X, y):
            found = search(X, y)
            return [found.best_params_["C"], found.best_score_, scores(X, y), forest(X, y),
                    nested(X, y)]

        if __name__ == "__main__":
            X, y = make_classification(8000, 20, random_state=0)  # 1.28 MB: shared
            with joblib.parallel_config("sequential"):
                expected = results(X, y)
            register()
            with joblib.parallel_config("scoop_mpi"):
                found = results(X, y)
            for one, other in zip(found, expected):
                assert np.array_equal(one, other), (one, other)
            print("right")
    """)
    assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "right\n"
