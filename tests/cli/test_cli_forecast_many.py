"""`lstmcore forecast --id`: one model of all series of a table, and its use on others."""

import json

import numpy as np
import pandas as pd
import pytest
from browsing import assert_sound, open_file
from command import Run, call

import lstmcore as lc

SMALL = ("--window", 4, "--horizon", 2, "--units", 2, "--epochs", 2, "--batch-size", 512)
FILES = {
    "model.safetensors", "forecast_many.json", "settings.json", "history.csv", "forecast.csv",
    "errors.csv", "test.csv", "report.html", "manifest.json",
}  # fmt: skip
NAMES = [f"shop <{n}>" for n in range(5)]


def shops(rows=60, names=NAMES, first="2024-01-01", **columns):
    rng = np.random.default_rng(0)
    parts = []
    for place, name in enumerate(names):
        own = rows + place
        days = pd.date_range(first, periods=own).strftime("%Y-%m-%d")
        sales = (place + 1) * (10 + np.sin(np.arange(own)) + rng.normal(size=own))
        part = pd.DataFrame({"shop": name, "day": days, "sales": sales.round(3)})
        static = {"region": ["north", "south"][place % 2], "area": 100 * place}
        part = part.assign(**static | columns)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def written(folder, frame, name="shops.csv"):
    frame.to_csv(folder / name, index=False)
    return folder / name


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Run:
    """One run that trains, with an interval."""
    folder = tmp_path_factory.mktemp("run")
    path = written(folder, shops())
    run = call("forecast", path, "--id", "shop", *SMALL, "--quantiles", "-o", folder / "out")
    assert run.exit_code == 0, run.text
    return run


@pytest.fixture(scope="module")
def trained(made) -> lc.forecasting.TrainedMany:
    return lc.forecasting.TrainedMany.load(made.folder)


def test_the_folder_holds_what_python_gives(made, trained):
    # No checkpoint and no figure of the loss: five series are too few to judge an LSTM by.
    assert made.files() == FILES
    assert list(trained) == NAMES
    assert trained.id == ("shop",)
    assert [column.name for column in trained.encoder.columns] == ["region", "area"]
    frame = shops()
    expected = trained.forecast(frame.assign(day=pd.to_datetime(frame["day"]))).to_frame()
    rows = made.rows("forecast.csv")
    assert list(rows[0]) == ["shop", "day", "target", "forecast", "low", "high"]
    assert [row["shop"] for row in rows] == expected["shop"].tolist()
    assert [row["day"] for row in rows] == expected["day"].dt.strftime("%Y-%m-%d").tolist()
    numbers = made.column("forecast.csv", "forecast", "low", "high")
    columns = ["sales", "sales 0.1", "sales 0.9"]
    np.testing.assert_allclose(numbers, expected[columns].to_numpy(), rtol=1e-5)


def test_the_test_parts_are_those_of_python(made, trained):
    rows = made.rows("test.csv")
    frame = shops()
    found = trained.evaluate(frame.assign(day=pd.to_datetime(frame["day"])))
    header = ["shop", "first_row", "step", "day", "target", "actual", "forecast", "low", "high"]
    rivals = found[NAMES[0]].baselines
    assert list(rows[0]) == [*header, *rivals]
    assert list(dict.fromkeys(row["shop"] for row in rows)) == NAMES
    numbers = made.column("test.csv", "actual", "forecast", "low", "high", *rivals)
    for name in NAMES:
        one, own = found[name], [place for place, row in enumerate(rows) if row["shop"] == name]
        blocks = [one.actual, one.forecast.point, *one.forecast.interval(), *rivals_of(one)]
        expected = np.stack([each[::2].ravel() for each in blocks], axis=-1)
        np.testing.assert_allclose(numbers[own], expected, rtol=1e-4)


def rivals_of(evaluation):
    return evaluation.baselines.values()


def test_errors_of_each_series(made, trained):
    rows = made.rows("errors.csv")
    assert list(rows[0]) == ["shop", "target", "forecast", "MAE", "RMSE", "sMAPE", "MASE"]
    frame = shops()
    found = trained.evaluate(frame.assign(day=pd.to_datetime(frame["day"]))).to_frame()
    assert [row["forecast"] for row in rows] == found["forecast"].tolist()
    errors = made.column("errors.csv", "MAE", "MASE")
    np.testing.assert_allclose(errors, found[["mae", "mase"]].to_numpy(), rtol=1e-4)


def test_what_is_said(made):
    text = made.text
    assert "5 series of sales, 310 rows in all" in text
    assert "5 series, told apart by shop" in text
    assert "region and area do not change within a series" in text
    assert "without numbers left out" not in text
    assert "mean MASE" in text
    assert "5 series are too few for a test" in text


def test_the_report_shows_some_series_and_lists_all(made):
    page = (made.folder / "report.html").read_text(encoding="utf-8")
    assert "shop &lt;" in page
    assert "shop <" not in page.partition("</main>")[0].replace("\\u003c", "").split("<main>")[1]
    for words in ("the worst series", "the best series", "Series by series"):
        assert words in page


def test_the_page_draws_in_a_browser_without_a_network(browser, made):
    opened = open_file(browser, made.folder / "report.html", ".main-svg")
    opened.locator(".plot .main-svg").nth(3).wait_for(state="attached")  # they come one by one
    assert_sound(opened)


def test_an_earlier_model_forecasts_new_rows_and_new_series(made, tmp_path, trained):
    table = shops(70, [NAMES[0], "new"])
    short = shops(2, ["short"], region="north", area=0)
    path = written(tmp_path, pd.concat([table, short]))
    run = call("forecast", path, "--model", made.folder, "-o", tmp_path / "out")
    assert run.exit_code == 0, run.text
    assert "2 series were not trained on (new, short)" in run.text
    assert "series short is not forecast: it has 2 rows, and the model reads" in run.text
    assert {row["shop"] for row in run.rows("forecast.csv")} == {NAMES[0], "new"}
    known = trained[NAMES[0]].split.validation.stop
    assert {row["shop"] for row in run.rows("errors.csv")} == {NAMES[0], "new"}
    alone = trained[NAMES[0]].evaluate(table["sales"].to_numpy()[:70], start=known)
    first = float(run.rows("errors.csv")[0]["MAE"])
    assert first == pytest.approx(float(alone.scores["model"].mae[0]), rel=1e-4)
    assert "model.safetensors" not in run.files()


def test_rows_that_are_all_trained_on_have_no_errors(made, tmp_path):
    path = written(tmp_path, shops(30, NAMES[:1]))
    run = call("forecast", path, "--model", made.folder, "-o", tmp_path / "out")
    assert run.exit_code == 0, run.text
    assert "how good the forecasts are remains unknown" in run.text
    assert run.files() == {"forecast.csv", "report.html", "settings.json", "manifest.json"}


@pytest.mark.usefixtures("no_training_in_this_module")
class TestWithoutTraining:
    """What needs no trained weights."""

    def test_future_covariates_of_each_series(self, tmp_path):
        frame = shops()
        frame["price"] = np.arange(len(frame)) % 7
        last = frame.groupby("shop").tail(1)
        whole = pd.concat([frame, *(last.assign(sales=np.nan, price=n) for n in range(2))])
        whole["day"] = whole.groupby("shop")["day"].transform(
            lambda days: pd.date_range("2024-01-01", periods=len(days)).strftime("%Y-%m-%d")
        )
        whole = whole.drop(whole[(whole["shop"] == NAMES[1]) & whole["sales"].isna()].index)
        path = written(tmp_path, whole)
        options = ("--targets", "sales", "--future-covariates", "price")
        run = call("forecast", path, "--id", "shop", *SMALL, *options, "-o", tmp_path / "out")
        assert run.exit_code == 0, run.text
        assert {row["shop"] for row in run.rows("forecast.csv")} == {NAMES[0], *NAMES[2:]}
        assert f"series {NAMES[1]} is not forecast: price must be known after its end" in run.text

    @pytest.mark.parametrize("rows", [1, 2, 9])
    def test_short_series_are_named_and_forecast_where_they_can_be(self, rows, tmp_path):
        path = written(tmp_path, pd.concat([shops(), shops(rows, ["short"])]))
        run = call("forecast", path, "--id", "shop", *SMALL, "-o", tmp_path / "out")
        assert run.exit_code == 0, run.text
        assert "series short is not trained on: " in run.text
        is_long = rows >= lc.forecasting.TrainedMany.load(run.folder).rows_read
        assert ("series short is not forecast: " in run.text) == (not is_long)
        found = {row["shop"] for row in run.rows("forecast.csv")}
        assert found == {*NAMES, *(["short"] if is_long else [])}

    def test_series_without_values_are_named_and_left_out(self, tmp_path):
        frame = shops().assign(visits=np.arange(310) % 9 * 1.0)
        frame.loc[frame["shop"] == NAMES[1], "visits"] = np.nan
        path = written(tmp_path, frame)
        asked = ("forecast", path, "--id", "shop", "--columns", "sales,visits", *SMALL)
        why = "series shop <1> is not trained on: in its training part, visits has no value"
        for missing in ("forward", "refuse"):
            run = call(*asked, "--missing", missing, "-o", tmp_path / missing)
            assert run.exit_code == 0, run.text
            assert why in run.text
            assert "series shop <1> is not forecast: visits has no value" in run.text
            assert "visits has no MASE: nothing changes from season to season" in run.text
            page = (run.folder / "report.html").read_text(encoding="utf-8")
            assert why.replace("<", "&lt;").replace(">", "&gt;") in page
            assert {row["shop"] for row in run.rows("forecast.csv")} == {*NAMES} - {NAMES[1]}
        frame.loc[5, "visits"] = np.nan
        path = written(tmp_path, frame)
        run = call(*asked, "--missing", "refuse", "-o", tmp_path / "out")
        assert run.exit_code == 1
        assert "series shop <0>, column 'visits': 1 value missing, the first at" in run.text

    def test_a_run_without_a_series_to_test_is_kept(self, tmp_path):
        frame = shops(20).assign(visits=1.0 * (np.arange(110) % 7))
        long = shops(60, ["long"]).assign(visits=np.nan)
        path = written(tmp_path, pd.concat([frame, long]))
        run = call(
            "forecast", path, "--id", "shop", "--columns", "sales,visits", *SMALL,
            "--test-from", "2024-01-24", "-o", tmp_path / "out",
        )  # fmt: skip
        assert run.exit_code == 0, run.text
        assert "no series can be evaluated: of 'shop <0>', there is no test part" in run.text
        assert "errors.csv" not in run.files()
        assert "forecast.csv" in run.files()

    @pytest.mark.parametrize(
        ("option", "value", "first"),
        [
            ("--train-until", "2024-02-09", "2024-02-10"),
            ("--train-until", 39, "2024-02-10"),
            ("--test-from", "2024-02-10", "2024-02-10"),
            ("--test-from", 40, "2024-02-10"),
            ("--test-from", "2024-02", "2024-02-01"),
        ],
    )
    def test_the_test_parts_begin_at_a_time(self, option, value, first, tmp_path):
        frame = shops()
        early, late = shops(20, ["early"]), shops(30, ["late"], "2024-02-20")
        path = written(tmp_path, pd.concat([frame, early, late]))
        run = call("forecast", path, "--id", "shop", *SMALL, option, value, "-o", tmp_path / "out")
        assert run.exit_code == 0, run.text
        model = lc.forecasting.TrainedMany.load(run.folder)
        days = pd.date_range("2024-01-01", periods=64).strftime("%Y-%m-%d")
        for name in NAMES:
            split = model.members[name].split
            begin = split.test.start
            assert days[begin] == first
            assert split.test.stop == (frame["shop"] == name).sum()
        assert model.members["early"].split.test == slice(20, 20)  # all of it is trained on
        tested = {row["shop"] for row in run.rows("errors.csv")}
        if isinstance(value, int):
            assert model.members["late"].split.test == slice(30, 30)
        else:
            assert "series late is not trained on" in run.text
        assert tested == {*NAMES}

    def test_static_columns_are_chosen(self, tmp_path):
        path = written(tmp_path, shops())
        for options, expected in (
            (("--static", "area"), ["area"]),
            (("--columns", "sales"), []),
            (("--columns", "sales", "--static", "region"), ["region"]),
        ):
            folder = tmp_path / "-".join(options)
            run = call("forecast", path, "--id", "shop", *SMALL, *options, "-o", folder)
            assert run.exit_code == 0, run.text
            stored = json.loads((folder / "forecast_many.json").read_text())
            assert [column[0] for column in stored["static"]] == expected

    @pytest.mark.parametrize(
        ("change", "options", "message"),
        [
            ({}, ("--id", "store"), "store"),
            ({}, ("--id", "shop", "--folds", 2), "--folds is for one series, not for many"),
            ({}, ("--id", "shop", "--test-from", "2025"), "the longest test part has 0 rows"),
            ({}, ("--id", "shop", "--train-until", "x"), "--train-until 'x' is neither a time"),
            ({}, ("--id", "shop", "--train-until", 9, "--test", 5), "all say where the test part"),
            ({}, ("--id", "shop", "--train-until", "2023-12-31"), "long enough to train on"),
            ({}, ("--id", "shop", "--calendar", "on"), "--calendar is for one series"),
            ({}, ("--static", "region"), "--static is for many series: name the column"),
            (
                {},
                ("--id", "shop", "--series", "x"),
                "--id reads all series of a file, --series one",
            ),
            ({}, (), "told apart by shop"),
            ({}, (), "lstmcore forecast --id shop forecasts all of them"),
            ({}, ("--id", "shop", "--targets", "area"), "'area' does not change within any"),
            ({}, ("--id", "shop", "--test", 1), "the longest test part has 1 row, but"),
            ({}, ("--id", "shop", "--window", 90), "use more data, a smaller window or horizon"),
            ({"sales": 1e300}, ("--id", "shop"), "can be trained on; of 'shop <0>'"),
            ({"sales": 5}, ("--id", "shop"), "nothing changes in the training part"),
        ],
    )
    def test_errors(self, change, options, message, tmp_path):
        path = written(tmp_path, shops().assign(**change, visits=np.arange(310) % 9))
        chosen = options if "--columns" in options else ("--columns", "sales", *options)
        chosen = options if "--targets" in options else chosen
        run = call("forecast", path, *SMALL, *chosen, "-o", tmp_path / "out")
        assert run.exit_code == 1
        assert message in run.text
        assert not (tmp_path / "out").exists()

    def test_series_at_several_intervals_are_refused(self, tmp_path):
        slow = shops(60, ["slow"])
        slow["day"] = pd.date_range("2024-01-01", periods=60, freq="7D").strftime("%Y-%m-%d")
        path = written(tmp_path, pd.concat([shops(), slow]))
        run = call("forecast", path, "--id", "shop", *SMALL, "-o", tmp_path / "out")
        assert run.exit_code == 1
        assert "has a row every day, but slow one every 7 days" in run.text

    def test_a_model_is_used_as_it_was_trained(self, tmp_path):
        path = written(tmp_path, shops())
        run = call("forecast", path, "--id", "shop", *SMALL, "-o", tmp_path / "model")
        for options, message in (
            (("--update", "--window", 9), "leave out --window"),
            (("--id", "shop"), "leave out --id"),
        ):
            again = call("forecast", path, "--model", run.folder, *options, "-o", tmp_path / "b")
            assert again.exit_code == 1
            assert message in again.text


def in_files(folder, frame):
    """Write each shop into a file of its own; return the paths."""
    folder.mkdir(exist_ok=True)
    return [
        written(folder, part.drop(columns="shop"), f"{name}.csv")
        for name, part in frame.groupby("shop", sort=False)
    ]


@pytest.fixture(scope="module")
def by_file(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    paths = in_files(folder / "shops", shops())
    run = call("forecast", *paths, *SMALL, "--quantiles", "-o", folder / "out")
    assert run.exit_code == 0, run.text
    return run


def test_training_continues_with_more_rows(by_file, tmp_path):
    later = in_files(tmp_path / "later", shops(70, [*NAMES[1:], "new"]))
    run = call("forecast", *later, "--model", by_file.folder, "--update", "-o", tmp_path / "out")
    assert run.exit_code == 0, run.text
    assert "1 series is new (new)" in run.text
    assert "1 of its series is not trained on any more (shop <0>)" in run.text
    model, earlier = map(lc.forecasting.TrainedMany.load, (run.folder, by_file.folder))
    assert list(model) == [*NAMES[1:], "new"]
    assert model.settings.epochs == 5
    for name in NAMES[1:]:
        one, other = (each.members[name].preprocessor.to_json() for each in (model, earlier))
        assert one == other
    assert run.settings()["updated"] == str(by_file.folder)


def test_rows_that_the_earlier_model_knows_are_named(by_file, tmp_path):
    known = dict(by_file.settings()["series_until"])
    paths = in_files(tmp_path / "same", shops(70, [*NAMES[1:], "new"]))
    options = ("--model", by_file.folder, "--update", "--train-until", "2024-01-31")
    run = call("forecast", *paths, *options, "-o", tmp_path / "out")
    assert run.exit_code == 0, run.text
    rows = sum((pd.Timestamp(known[name]) - pd.Timestamp("2023-12-31")).days for name in NAMES[1:])
    assert f"{rows} rows of 4 series are not later than the last that it was trained on" in run.text


class TestFiles:
    def test_each_of_several_files_is_a_series(self, by_file, made):
        assert "5 files in shops: 5 series of sales, 310 rows in all" in by_file.text
        assert "5 series, one from each file" in by_file.text
        model = lc.forecasting.TrainedMany.load(by_file.folder)
        assert list(model) == NAMES
        assert [column.name for column in model.encoder.columns] == ["region", "area"]
        rows = by_file.rows("forecast.csv")
        assert list(rows[0]) == ["series", "day", "target", "forecast", "low", "high"]
        assert [row["series"] for row in rows] == [row["shop"] for row in made.rows("forecast.csv")]
        numbers, expected = (run.column("forecast.csv", "forecast") for run in (by_file, made))
        np.testing.assert_allclose(numbers, expected, rtol=1e-4)

    def test_their_model_forecasts_more_files_or_one(self, by_file, tmp_path):
        new = shops(70, [NAMES[0], "new"]).drop(columns=["region", "area"])
        paths = in_files(tmp_path / "later", new[new["shop"] != "new"])
        for more in ([], in_files(tmp_path / "more", new[new["shop"] == "new"])):
            folder = tmp_path / f"out{len(more)}"
            run = call("forecast", *paths, *more, "--model", by_file.folder, "-o", folder)
            assert run.exit_code == 0, run.text
            assert {row["series"] for row in run.rows("forecast.csv")} == {
                NAMES[0],
                *(["new"] if more else []),
            }

    def test_their_model_knows_a_series_by_the_end_of_its_path(self, tmp_path):
        one, other = (in_files(tmp_path / name, shops(names=["x"]))[0] for name in "ab")
        run = call("forecast", one, other, *SMALL, "-o", tmp_path / "model")
        assert run.exit_code == 0, run.text
        for options in ((), ("--update", "--epochs", 1)):
            folder = tmp_path / f"out{len(options)}"
            again = call("forecast", one, "--model", run.folder, *options, "-o", folder)
            assert again.exit_code == 0, again.text
            assert {row["series"] for row in again.rows("forecast.csv")} == {"a/x"}
            assert "not trained on (x)" not in again.text
            assert "new (x)" not in again.text

    def test_their_model_forecasts_the_series_of_a_column(self, by_file, tmp_path):
        path = written(tmp_path, shops(70, [NAMES[0], "new"]))
        several = call("forecast", path, "--model", by_file.folder, "-o", tmp_path / "several")
        assert several.exit_code == 1
        assert "lstmcore forecast --id shop forecasts all of them" in several.text
        for options in ((), ("--update", "--epochs", 1)):
            folder = tmp_path / f"out{len(options)}"
            given = ("--id", "shop", "--model", by_file.folder, *options)
            run = call("forecast", path, *given, "-o", folder)
            assert run.exit_code == 0, run.text
            column = "shop" if options else "series"
            assert {row[column] for row in run.rows("forecast.csv")} == {NAMES[0], "new"}
            assert run.settings()["id"] == "shop"

    def test_files_without_values_are_left_out(self, tmp_path):
        paths = in_files(tmp_path / "shops", shops())
        paths[0].write_text("")
        run = call("forecast", *paths, *SMALL, "-o", tmp_path / "out")
        assert run.exit_code == 0, run.text
        assert f"series {NAMES[0]} has no value, and is left out" in run.text

    def test_mistakes_with_files(self, tmp_path):
        paths = in_files(tmp_path / "shops", shops())
        other = written(
            tmp_path, shops(names=["x"]).assign(visits=1).drop(columns="sales"), "other.csv"
        )
        for arguments, message in (
            ((*paths, "--id", "shop"), "--id tells the series of one file apart, but there are 5"),
            ((*paths, other), "other.csv has no column 'sales' of numbers, but"),
            ((*paths, paths[0]), "would be two series of the same name"),
            ((*paths, "--folds", 2), "--folds is for one series, not for many"),
            ((paths[0], "--columns", "sales", "area"), "unexpected argument 'area': write commas"),
            ((paths[0], tmp_path / "no.csv"), "no.csv"),
        ):
            run = call("forecast", *arguments, *SMALL, "-o", tmp_path / "out")
            assert run.exit_code != 0
            assert message in run.text
            assert not (tmp_path / "out").exists()
