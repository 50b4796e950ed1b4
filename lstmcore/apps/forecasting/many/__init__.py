"""Many series, one forecaster: trained on all of them, each scaled by itself.

    trained = train_many(frame, id="store")          or {name: table}
    trained.forecast(frame).to_frame()               the next rows of every series, also of new ones
    print(trained.evaluate(frame))                   errors per series, beside simple forecasts
    trained["north"]                                 a forecaster of this series alone, a `Trained`

panel        arguments: a long table, or tables by name, taken apart
static       features that do not change within a series, as numbers
training     from the series to a forecaster
member       a series that was trained on
predictor    the trained forecaster, and its files
forecast     its forecasts of many series
evaluation   its errors per series and over all of them
"""
