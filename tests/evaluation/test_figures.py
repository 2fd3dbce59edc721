from ordhash.evaluation import draw_curves


def test_every_curve_is_drawn_in_a_colour_of_its_own(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    kept, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: (kept.append(figure), save(figure, path)))
    curves = {f"method {number}": ((1.5, 6, 5120), (0.1, 0.2, number), (0, 0, 0)) for number in range(14)}
    draw_curves(tmp_path / "curves.png", curves, x="bytes", y="mAP", title="", log="x")
    (axis,) = kept[0].axes
    lines = [container.lines[0] for container in axis.containers]
    assert len({tuple(line.get_color()) for line in lines}) == len(lines) == 14
    kept[0].canvas.draw()
    assert {"10", "100", "1,000"} <= {label.get_text() for label in axis.get_xticklabels()}
