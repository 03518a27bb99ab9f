"""Makes a small tree of every layout of annotations: `ann`, and clips in `clips`."""

import json

from tests.annotation_files import touched, written


def ucf101(folder):
    written(folder / "ann/classInd.txt", "1 Archery\n2 Biking\n")
    lines = "Biking/v_Biking_g08_c01.avi 2\nArchery/v_Archery_g08_c01.avi 1\n"
    written(folder / "ann/trainlist01.txt", lines)
    written(folder / "ann/testlist01.txt", "Archery/v_Archery_g01_c01.avi\n")
    written(folder / "ann/trainlist02.txt", "Archery/v_Archery_g01_c01.avi 1\n")
    written(folder / "ann/testlist02.txt", "Biking/v_Biking_g08_c01.avi\n")
    touched(folder / "clips", "Biking/v_Biking_g08_c01.avi")
    touched(folder / "clips/Archery", "v_Archery_g08_c01.avi", "v_Archery_g01_c01.avi")


def hmdb51(folder):
    written(folder / "ann/wave_test_split1.txt", "w1.avi 1 \nw2.avi 2 \nw3.avi 0 \n")
    written(folder / "ann/brush_hair_test_split1.txt", "b1.avi 1 \n")
    touched(folder / "clips", "wave/w1.avi", "wave/w2.avi", "brush_hair/b1.avi")
    touched(folder / "clips", "wave/w3.avi")


def kinetics(folder):
    header = "label,youtube_id,time_start,time_end,split\n"
    written(folder / "ann/train.csv", f"{header}abseiling,-0Bn,4,14,train\n")
    written(folder / "ann/validate.csv", f"{header}abseiling,xy_1,10,20,validate\n")
    written(folder / "ann/test.csv", "youtube_id,time_start,time_end\nzz,0,10\n")
    touched(folder / "clips", "train/-0Bn_000004_000014.mp4")
    touched(folder / "clips", "val/abseiling/xy_1_000010_000020.mkv")
    touched(folder / "clips", "test/zz_000000_000010.mp4")


def diving48(folder):
    rows = [{"vid_name": "a_00001", "label": 1, "start_frame": 0}]
    written(folder / "ann/Diving48_V2_train.json", json.dumps(rows))
    rows = [{"vid_name": "b_00002", "label": 0}]
    written(folder / "ann/Diving48_V2_test.json", json.dumps(rows))
    names = [["Back", "15som", "05Twis", "FREE"], ["Back", "15som", "15Twis", "FREE"]]
    written(folder / "ann/Diving48_vocab.json", json.dumps(names))
    touched(folder / "clips", "rgb/a_00001.mp4", "rgb/b_00002.mp4")


def diving48_csv(folder):
    written(folder / "ann/train.csv", "vid_name;label\na_00001;1\n")
    written(folder / "ann/test.csv", "vid_name;label\nb_00002;0\n")
    touched(folder / "clips", "a_00001.mp4", "b_00002.mp4")


def tsm(folder):
    written(folder / "ann/train_videofolder.txt", "run/a 30 1\njump/b c 12 0\n")
    written(folder / "ann/val_videofolder.txt", "run/d 9 1\n")
    written(folder / "ann/category.txt", "jump\nrun\n")
    touched(folder / "clips", "run/a/img_00001.jpg", "jump/b c/img_00001.jpg")
    touched(folder / "clips", "run/d/img_00001.jpg")


def own_labels(folder):
    written(folder / "ann/category.txt", "jump\nrun\nrest")
    written(folder / "ann/train_videofolder.txt", "101 6 0\n102 3 2")
    written(folder / "ann/val_videofolder.txt", "201 3 2")
    written(folder / "ann/test_videofolder.txt", "301 3 0")
    touched(folder / "clips", "101.webm", "more/102.mp4", "201.webm", "301.webm")


def mmaction2(folder):
    written(folder / "ann/k400_train_list_videos.txt", "run/a.mp4 1\njump/b.mp4 0\n")
    written(folder / "ann/k400_val_list_videos.txt", "run/c.mp4 1\n")
    written(folder / "ann/label_map_k400.txt", "jump\nrun\n")
    touched(folder / "clips/videos_train", "run/a.mp4", "jump/b.mp4")
    touched(folder / "clips/videos_val", "run/c.mp4")


def pyslowfast(folder):
    clips = folder / "clips"
    written(folder / "ann/train.csv", f"{clips}/a.mp4 0\n{clips}/x/b.mp4 2\n")
    written(folder / "ann/val.csv", f"{clips}/c.mp4 2\n")
    written(folder / "ann/test.csv", f"{clips}/d.mp4 2\n")
    touched(clips, "a.mp4", "x/b.mp4", "c.mp4", "d.mp4")


def renamed_columns(folder):
    text = "video\tclass\tsubset\na b.mp4\trun\ttrain\nc.mp4\tjump\tval\n"
    written(folder / "ann/x", "").parent.joinpath("list.TSV").write_text(
        text, encoding="utf-16"
    )
    touched(folder / "clips", "a b.mp4", "c.mp4")


def table_of_ids(folder):
    written(folder / "ann/train.csv", "clip_id,label\na,run\n")
    written(folder / "ann/valid.CSV", "clip_id,label\nb,run\n")
    touched(folder / "clips", "deep/a.mp4", "b.webm")


def split_list(folder):
    touched(folder / "clips", "run/a.mp4", "jump/b.mp4", "jump/c.mp4", "run/d.mp4")
    text = "run/a.mp4,train\nb,train\njump/c.mp4,val\n"
    written(folder / "ann/splits.txt", text)
