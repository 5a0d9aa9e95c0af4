"""What is refused: one clear line on stderr that says where and how to fix it, and exit code 2."""

import gzip
import os
import re

import numpy as np
import pytest

STDIN = b"1,2,3\n4,5,6\n7,8,9\n"

#: The files of every run, and their text.
FILES = {
    "x": "1,2\n3,4\n", "ab": "a,b\n3,4\n1,2\n", "aby": "a,b,y\n3,4,0\n3,4,2\n", "only": "y\n0\n1\n",
    "column": "1\n2\n", "one": "1\n", "x3": "1,2\n3,4\n5,6\n", "row3": "1 0 1\n", "none": "",
    "y": "0\n1\n", "y2": "y\n0\n2\n", "y-1": "0\n-1\n", "y.5": "0\n0.5\n", "y3": "0\n1\n0\n",
    "ynan": "nan\n1\n", "yinf": "0\ninf\n", "y1e30": "0\n1e30\n", "cat": "0\n1\ncat\n",
    "gap": "a,b\n0,1\n,1\n", "m2": "1,0,1\n1,2,1\n", "mnan": "1,0,nan\n1,1,1\n",
    "m-inf": "0,-inf,0\n0,0,0\n", "narrow": "1,0\n1,1\n0,1\n", "short": "1,0,1\n0,1,1\n",
    "uneven.json": "[[1, 2], [3]]", "xy.json": '{"x": [1, 2], "y": 1}\n{"x": [3, 4], "y": 0}\n',
    "bad1x": "1x\n0\n", "bad?": "?\n0\n", "bad-a": "a,1\n0,1\n", "long": "1,0,1\n" * 4,
    "perhaps": "1,0,1\n1,perhaps,1\n1,1,1\n", "model.py": "",
}  # fmt: skip

#: Bad files of labels and masks, and the end of the error, which proposes their options.
LABELS = {
    "0\nNA\n1\n": "is 'NA', which is not a number; fill it in",
    "name,1\n0,1\n": "such as 'name' and '1'; correct the file",
    "0\nx\n1\n": "'x' is not a number; correct it",
    "1;2;a\n0 0 0\n": "'1;2;a' is not a number; correct it",
    "0\n1e999\n1\n": "before any formula ran; write inf if you mean it",
    '"",a\n"",1\n': "delete it, or choose the columns with --label-column",
    '{"a":[0],"b":[1]}': "choose one of its keys with --label-key: 'a', 'b'",
    "[0,null,1]": "is null; fill it in",
    "0,1\n1,0\n0,0\n": "choose the column of labels with --label-column",
}
MASKS = {
    "1,1\nNA,0\n0,1\n": "is 'NA', which is not a number; fill it in",
    "a,1\n1,1\n": "such as 'a' and '1'; correct the file",
    "1,1\n1,x\n": "'x' is not a number; correct it",
    "1,1\n1.5,1\n": "1.5 is not a mask value; 1 or true keeps a number, 0 or false masks it",
    '{"a":[[1]],"b":[[1]]}': "has several fields of numbers; correct the file",
}

#: Commands and their errors; " ... " stands for anything.
REFUSED = [
    # arguments
    ("lse --file no/such.csv", "cannot read no/such.csv: No such file or directory; check"),
    ("lse --file .", "the directory . contains another one, d.svg; say which files are wanted"),
    ("lse 1 abc", "arguments, number 2: 'abc' is not a number"),
    ("lse 1,2,3", "'1,2,3' is not a number; put a blank between numbers"),
    ("lse 1_000", "'1_000' is not a number; write it without underscores"),
    ("lse -5%", "'-5%' is not a number; write it without the percent"),
    ("lse 1 1e400", "1e400 ... inf ... --dtype longdouble"),
    (f"lse {'9' * 100_000}", "number 1: '999999999999'... has 100,000 characters"),
    ("lse 1 --dtype haf", "'haf' ... choose from float8"),
    ("lse 1 --dtype floot16", "'floot16' (did you mean float16?): choose from"),
    ("lse 1 --shift median", "'median' ... mean"),
    ("lse 1 --shift maxx", "'maxx' (did you mean max?): choose from"),
    ("lse 1 --method best", "'best' ... naive, shifted, division-free"),
    ("lse 1 --method naiv", "'naiv' (did you mean naive?): choose from"),
    ("lse 1 --method division-free",
     "only softmax has a division-free method: choose from naive, shifted, exact"),
    ("lse 1 --method compensated", "correctly rounded ... --method exact"),
    ("lse 1 -m exact --steps", "--steps needs a method that has steps: naive, shifted (see"),
    ("lse 1 --jsno", "--jsno ... --json"),
    ("lse 1 --qiet", "--qiet is not an option: did you mean --quiet?"),
    ("lse -abc", "-a is not an option"),
    ("lse -1q2", "arguments, number 1: '-1q2' is not a number"),
    ("lse 1 --format xml", "'xml' ... jsonl"),
    ("lse 1 --format jsn", "'jsn' (did you mean json?)"),
    ("lse 1 --color allways", "'allways' (did you mean always?)"),
    ("lse 1 --file x", "--file is for files and pipes: it does not go with numbers as arguments"),
    ("lse 1 2 --row 2", "--row is for files"),
    ("lse 1 --column a", "--column is for files"),
    ("lse 1 --skip-na", "--skip-na is for files"),
    ("lse 1 --row 0", "--row is for files and pipes"),
    ("lse 1 -o no/such/out.txt", "cannot write no/such/out.txt: no such directory"),
    ("lse 1 -o .", "cannot write .: Is a directory"),
    ("lse 1 -o /dev/full", "/dev/full ... No space left"),
    # commands and their options
    ("lze 1", "'lze' is not a command: did you mean lse?"),
    ("log_softmax 1", "did you mean log-softmax?"),
    ("logsumexp 1", "did you mean lse?"),
    ("xyz", "'xyz' is not a command: choose from lse, softmax,"),
    ("help lse", "'help' is not a command: did you mean --help?"),
    ("lse --version", "--version is not an option (see stablelse lse --help)"),
    ("lse 1 --temperature 1_0", "'1_0' is not a positive number"),
    ("1000 1001", "did you mean stablelse lse 1000 1001?"),
    ("-1000 -inf", "did you mean stablelse lse -1000 -inf?"),
    ("lse 1 -q --steps", "it does not go with --steps"),
    ("lse 1 -q --errors", "it does not go with --errors"),
    ("nll 1 --label 0 -q --steps", "it does not go with --steps"),
    ("lse 0 --fail-on 'ulp>many'", "unknown condition"),
    ("lse --grad", "lse has no --grad: nll"),
    ("limits --shift max", "limits has no --shift: lse"),
    ("lse 1 --format latex", "'latex' is not one of 'table', 'plain', 'json', 'jsonl', 'csv'"),
    ("lse 1 --digits 0", "give 1 to 40, or full"),
    ("lse 1 --digits x", "give 1 to 40, or full"),
    ("lse 1 --digits -1", "give 1 to 40, or full"),
    ("lse 1 --digits 41", "give 1 to 40, or full"),
    ("lse 1 --digits 3 --json", "--digits is for the table"),
    ("lse 1 --digits 3 -q", "--digits is for the table"),
    ("lse 1 --digits 3 --format csv", "--digits is for the table"),
    ("lse 1 --temperature 0", "'0' is not a positive number"),
    ("lse 1 --temperature=-1", "'-1' is not a positive number"),
    ("lse 1 --temperature nan", "'nan' is not a positive number"),
    ("lse 1 --temperature inf", "'inf' is not a positive number"),
    ("lse 1 --temperature x", "'x' is not a positive number"),
    ("lse 1 --temperature=", "'' is not a positive number"),
    ("lse 1 --temperature 1,2", "'1,2' is not a positive number"),
    ("lse 1 --temperature 1e-400", "'1e-400' is not a positive number"),
    ("lse 1e308 --temperature 0.1", "the vector given, row 1, column 1: 1e308/0.1 is too large"),
    ("softmax -f e308 --temperature 0.1", "e308, row 2, column 2: 1e308/0.1 is too large to hold"),
    ("lse -f column --engine dask --temperature 2", "--engine dask ... go with --temperature"),
    *((f"lse {more}", "--engine dask is for files")
      for more in ("--engine dask 1 2", "--engine dask", "--engine dask -f -",
                   "--engine dask -f /dev/null")),
    *((f"lse -f x --engine dask {more}", "--engine dask sums in one pass")
      for more in ("--steps", "--shift 0")),
    ("lse -f x --engine dask", "use --by all or --by columns"),
    ("lse -f x --scheduler tcp://x:1", "--scheduler is for a cluster"),
    ("lse -f x --timeout 3", "--timeout is for a cluster"),
    # contents of files: tests/readers/test_bad.py has all that can be wrong
    ("lse -f cat", "cat, line 3, column 1: 'cat' is not a number"),
    ("softmax -f gap -q", "gap, line 3, column 1 ('a') is blank ... --skip-na"),
    ("lse -f none", "none is empty"),
    ("softmax -q --column 4", "standard input has no column '4'"),
    ("lse -f ab --column c", "'c' ... a ... b"),
    ("lse -f ab --column 0", "ab has no column '0'; it has 2 columns: 'a', 'b'"),
    ("lse -f ab --row 9", "ab has no row 9: it has 2 vectors"),
    ("lse -f ab --no-header", "line 1 ... 'a'"),
    ("lse -f ab --delimiter ab", "'ab' cannot be a delimiter; give one character"),
    ("lse -f ab --by diagonals", "'diagonals' ... columns"),
    ("lse -f x.npz", "x.npz has 2 arrays: 'a', 'b'; choose one with --key"),
    ("lse -f x --key a", "x has no array named 'a': only its columns can have names; leave out "
     "--key, or use --column"),
    ("lse -f x -f column --by rows --row 3", "x has no row 3: it has 2 vectors"),
    ("lse -f x.gz", "x.gz is truncated: its gzip data ends before its end mark; copy or save it"),
    # JSON
    ("lse -f uneven.json --by columns", "row 2 has 1 number, but the rows before have 2"),
    ("nll -f x3 --labels uneven.json", "has 2 columns; choose the column of labels"),
    *((f"lse -f uneven.json {option}", "uneven.json is JSON, not text: leave out --")
      for option in ("--header", "--no-header", "--delimiter ';'", "--decimal ,")),
    ("lse -f 3.npy --header --decimal ,",
     "3.npy is a .npy file, not text: leave out --header and --decimal"),
    ("nll -f xy.json --key x --label-column y",
     "xy.json is JSON, without a column 'y' ... --label-key"),
    # arrays of three axes
    ("lse -f 3.npy --axis 3", "3.npy has no axis 3: its shape is (2, 3, 4); choose from 0 to 2"),
    ("lse -f 3.npy --row 2,4", "has no row (2, 4): its rows are counted from 1, and they go up to"),
    ("lse -f 3.npy --row 7", "3.npy has no row 7: it has 6 vectors"),
    ("lse -f 3.npy --row 1,1,1", "3.npy has no row (1, 1, 1)"),
    ("lse -f 3.npy --row 0,1", "'0,1' is not a row: give its number, from 1"),
    ("lse -f 3.npy --row last", "'last' is not a row: give its number, from 1"),
    ("lse -f 3.npy --by columns", "3.npy has 3 axes: choose one with --axis"),
    ("lse -f 3.npy --by all --axis 1", "leave out --by all"),
    ("nll -f 3.npy --labels 2.npy", "2.npy has 4 columns; choose the column of labels with --labe"),
    ("lse -f 2.npy --row 1,2", "2.npy has no row (1, 2) ... and they have one number"),
    ("lse --axis 0", "standard input has rows and columns, not axes"),
    # masks and weights
    *((f"{command} --mask {mask}", complaint)
      for command in ("lse", "softmax", "log-softmax")
      for mask, complaint in (
        ("m2", "m2, row 2, column 2: 2 is not a mask value; 1 or true keeps"),
        ("mnan", "mnan, row 1, column 3: nan is not a mask value"),
        ("m-inf", "-inf is not a mask value"),
        ("narrow", "narrow has 2 columns, but standard input has 3"),
        ("short", "short has fewer rows than standard input"),
        ("long", "long has more rows than standard input"),
        ("perhaps", "perhaps, line 2, column 2: 'perhaps' is not a number"),
        ("none", "none is empty"))),
    ("lse 1 2 --mask row3", "row3 has 3 columns, but the vector given has 2: a mask "),
    ("lse --mask -", "standard input can be read only once"),
    ("lse 1 2 3 --mask row3 --dtype float8_e4m3fn", "no infinity"),
    ("softmax 1 -inf --empty half", "'--empty': 'half' is not one of 'nan', 'zero'"),
    ("lse -f column --mask row3 --engine dask", "does not go with --mask"),
    ("lse -f column --empty error --engine dask", "does not go with --empty"),
    ("lse 1 2 3 --mask absent", "cannot read absent"),
    ("lse 1 2 --weights row3", "row3 has 3 columns, but the vector given has 2: each "),
    ("lse 1 2 --weights ynan", "ynan, row 1, column 1: nan is not a weight; give a finite number"),
    ("lse -f x --weights one", "one has 1 column, but x has 2: each number has"),
    ("lse -f x --weights x3", "x3 has more rows than x: each number has a weight"),
    ("lse -f x3 --weights x", "x has fewer rows than x3: each number has a weight"),
    ("lse --weights -", "standard input can be read only once"),
    ("lse 1 --weights - --mask -", "standard input can be read only once"),
    ("lse -f x --weights x --engine dask", "sums in one pass: it does not go with --weights"),
    ("lse 1 -m division-free --weights one", "only softmax has a division-free method"),
    ("softmax 1 --weights one", "softmax has no --weights: lse has it"),
    ("log-softmax 1 --weights one", "log-softmax has no --weights: lse has it"),
    ("scan x --weights one", "scan has no --weights: lse has it"),
    # labels
    *((f"nll --logits x --labels {labels}", complaint)
      for labels, complaint in (
        ("y2", "y2, row 2: 2 is not a class; the labels"),
        ("y-1", "y-1, row 2: -1 is not a class"),
        ("y.5", "y.5, row 2: 0.5 is not an integer"),
        ("ynan", "ynan, row 1: nan is not an integer"),
        ("yinf", "yinf, row 2: inf is not"),
        ("y1e30", "y1e30, row 2: 1e+30 is not a class"),
        ("y1e30 --ignore-index -1", "y1e30, row 2: 1e+30 is not a class"),
        ("cat", "cat, line 3, column 1: 'cat' is not"),
        ("gap --label-column a", "gap, line 3, column 1 ('a') is blank; fill it in"),
        ("y3", "y3 has more labels than x: each vector has a label"),
        ("one", "one has fewer labels than x: each vector has a label"),
        ("none", "none is empty"),
        ("absent", "cannot read absent"),
        ("x", "x has 2 columns; choose the column of labels"),
        ("y --skip-na", "renumber the classes"),
        ("y --row 3", "x has no row 3"),
        ("y --method division-free", "only softmax has a division-free method"))),
    ("nll --logits ab --label-column c", "ab has no column 'c'"),
    ("nll --logits only --label-column y", "only has only the column of labels, and no logits"),
    ("nll --logits aby --label-column y", "aby, row 2: 2 is not a class; the labels of 2 classes "),
    ("nll 1 2 --label 2", "--label: 2 is not a class; the labels of 2 classes are 0 to 1"),
    ("nll --logits x --label 0", "--label is for a single vector, and x has more: choose one with"),
    ("nll --logits x", "give the labels in one way: --labels FILE"),
    ("nll 1 2 --label 0 --labels y", "give the labels in one way"),
    ("nll --logits x --label-column 1 --label-key k", "x has no array named 'k'"),
    ("nll 1 2 --label-column 1", "use --label K"),
    ("nll --logits x --label-column 1 --by columns", "it does not go with --by columns"),
    ("nll --labels -", "can be read only once"),
    ("nll --by columns --labels none", "none is empty"),
    ("nll 1 2 --label 0 --grad --reduction mean", "leave out --reduction"),
    ("nll 1 2 --label 0 --steps --format plain", "stablelse log-softmax has them in --format plai"),
    ("nll --key x --label-key y", "reads the logits' file twice, and a pipe can be read only once"),
    # the advice works for files of labels and masks
    *((f"nll --file x3 --quiet --labels labels{number}", f"{end}\n")
      for number, end in enumerate(LABELS.values())),
    *((f"{command} -f x3 --by rows -q --mask mask{number}", f"{end}\n")
      for command in ("lse", "softmax") for number, end in enumerate(MASKS.values())),
    ("nll -f x --labels d", "for example --labels 'd/**/*.csv'"),
    ("lse -f x --mask d", "say which files are wanted, for example --mask 'd/**/*.csv'"),
    ("nll -f nan --label-column 1 -q", "line 2, column 2 is 'NA', which is not a number; fill it in"
     "\n"),
    ("nll 1 2 --label 0 --label-smoothing 1.5", "'1.5' is not a number from 0 to 1"),
    ("nll 1 2 --label 0 --label-smoothing -0.1", "'-0.1' is not a number from 0 to 1"),
    ("nll 1 2 --label 0 --label-smoothing nan", "'nan' is not a number from 0 to 1"),
    ("nll 1 2 --label 0 --label-smoothing some", "'some' is not a number from 0 to 1"),
    ("nll -f x --labels y --class-weights row3",
     "row3 has 3 weights, but x has 2 logits: each class"),
    ("nll -f x --labels y --class-weights y-1", "y-1, row 2, column 1: -1 is not the weight of a"),
    ("nll -f x --labels y --class-weights yinf", "yinf, row 2, column 1: inf is not the weight of"),
    ("nll -f x --labels y --class-weights absent", "cannot read absent"),
    ("nll -f x --labels y --class-weights - --mask -", "standard input can be read only once"),
    ("nll -f x --labels y --weights one", "nll has no --weights: lse has it"),
    ("softmax 1 --label-smoothing 1", "softmax has no --label-smoothing: nll has it"),
    # files beside the numbers follow the rules of files
    *((f"{command} {bad}", words)
      for command in ("softmax 3 1 --mask", "nll 3 1 --labels")
      for bad, words in (
        ("bad1x", "bad1x, line 1, column 1: '1x' is not a number"),
        ("bad?", "bad?, line 1, column 1 is '?', which is not a number"),
        ("bad-a", "bad-a, line 1 mixes names and numbers"))),
    # proofs
    ("prove", "lse|softmax"),
    ("prove log-softmax 1", "'log-softmax' ... softmax"),
    ("prove 1 2", "'1' ... lse"),
    ("prove lse 1 inf", "x_2 is inf"),
    ("prove lse nan", "x_1 is nan"),
    ("prove lse 1e300", "too long to show"),
    ("prove lse 70000 --dtype float16", "x_1 is 70000.0 ... which is inf in float16"),
    ("prove lse 1 --shift inf", "the shift inf leaves nothing of x - a: give a finite number"),
    ("prove lse 1 --shift 70000 --dtype float16", "the shift a is 70000, which is inf in float16"),
    ("prove lse --shift 0", "--shift ... goes with numbers"),
    ("prove lse --dtype float16", "--dtype ... goes with numbers"),
    ("prove lse --column 2", "--column goes with numbers or --file"),
    ("prove lse --file -", "--row: standard input has more than one vector"),
    ("prove lse 1 --quiet", "prove has no --quiet: lse, softmax"),
    ("prove lse 1 --format xml", "'xml' ... latex"),
    # sweeps
    *((f"sweep 0 --offset '{text}'", f"the offset '{text}' is not a range")
      for text in ("5", ":5", "5:", "a:b", "1:2:3", "", "1_0:20", "0x1:2")),
    ("sweep 0 --scale 1", "the scale '1' is not a range: give two numbers, as in 1:1000"),
    ("sweep 0 --offset 2:1", "the offset 2:1 is empty: the first end must be smaller"),
    ("sweep 0 --offset 1:1", "the offset 1:1 is empty"),
    ("sweep 0 --offset nan:1", "the offset nan:1 must have two finite ends"),
    ("sweep 0 --offset 0:1e999", "the offset 0:inf must have two finite ends"),
    ("sweep 0 --scale 0:1", "the scale 0:1 must be positive: start at 1e-3, for example"),
    ("sweep 0 --scale -2:1", "the scale -2:1 must be positive"),
    ("sweep 0 --scale 1:2 --offset 1:2", "x is moved or stretched: leave out"),
    ("sweep 0 --points 1", "points must be 2 (the ends alone) to 1,000,000, not 1"),
    (f"sweep 0 --points 1{'0' * 30}", "to 1,000,000, not 1,000,000,000"),
    (f"sweep --points 1000000 {' 1' * 537}", "take too long: give at most 536 numbers, or"),
    ("sweep 0 --dtype float16 --offset 1e5:1e6", "float16 has no number in the offset"),
    ("sweep 0 --method division-free", "only softmax has a division-free method"),
    ("sweep 0 --function lsd", "'--function': 'lsd' (did you mean lse?) is not one of 'lse'"),
    ("sweep", "standard input has more than one vector: choose the one to show"),
    # libraries
    ("peers 1 --peer tensorflow", "'tensorflow' ... scipy ... jax"),
    ("peers 1 --function sum", "'sum' ... log-softmax"),
    ("peers --dtype float16", "--dtype goes with numbers"),
    ("peers --function softmax", "--function goes with numbers"),
    ("peers 1 --all", "--all ... gallery"),
    ("peers 1 --quiet", "peers has no --quiet: lse, softmax"),
    ("peers 1 --peer nowhere.py:f", "nowhere.py does not exist: name a file or a module, a colon"),
    ("peers 1 --peer model.py:", "'model.py:' is not a function"),
    ("peers 1 --peer :softmax", "':softmax' is not a function"),
    ("lse 1 --steps --digits 3", "--digits is for the table"),
    ("lse 1 --steps --all", "--all is for the table"),
    ("lse -f - -f -", "standard input can be read only once"),
    ("lse -f /dev/null --mask /dev/null", "can be read only once, like any pipe"),
    ("lse -f column -c -1", "has no column '-1'"),
    ("scan --all -q", "--all is for the table"),
    ("peers --all --json", "--all is for the table"),
    ("audit --logits x --values x -q -o out", "--quiet prints nothing ... --output"),
    ("lse --mask", "'--mask' requires an argument (see stablelse lse --help)"),
    ("lse 1 -q --shift 0", "--shift needs a method that has one: add --method shifted"),
    ("softmax 1 --shift 0 -o p.npy", "--shift needs a method"),
    ("lse 1 --method naive --shift max", "--shift needs a method"),
    ("nll 1 --label 0 --format csv --reduction sum", "CSV has a row ... leave out --reduction"),
    ("nll 1 --label 0 --steps --class-weights y", "each vector's own loss ... --class-weights"),
    # guards that could not fail
    ("lse 1 --method shifted --fail-on naive:nan", "'naive:nan': choose from shifted"),
    ("lse 1 --fail-on shifted-float32:nan", "'shifted-float32:nan' ... naive, shifted"),
    ("nll 1 --label 0 --method exact --fail-on nan", "exact never fails ... --method"),
    ("lse 1 --fail-on none,nan", "unknown condition 'none': choose from ... or none alone"),
    # scans
    ("scan --fail-on bad", "'bad' ... overflow ... ulp>N ... none"),
    *((f"scan --fail-on '{text}'", "unknown condition ... choose from broken") for text in (
        " ", ",", "broken,", "none,broken", "nan>3", "ulp>", "ulp>-1", "ulp>1e999", "naive")),
    *((f"scan --fail-on {text}", "unknown method ... naive, shifted") for text in (
        "best:nan", ":nan")),
    ("scan --fail-on 'ulp>4' --max-ulp 5", "one number of ulps ... 4 and 5"),
    ("scan --fail-on 'ulp>4,naive:ulp>6'", "4 and 6 ... choose one"),
    ("scan --dtype float32 --fail-on shifted-float32:nan", "choose from naive, shifted"),
    ("scan --max-ulp 0", "'0' is not a number of ulps: give 0.5 or more"),
    ("scan --max-ulp nan", "--max-ulp ... nan"),
    ("scan --max-ulp inf", "--max-ulp ... inf"),
    ("scan --function exp", "'exp' ... softmax"),
    ("scan no/such.csv", "cannot read no/such.csv"),
    ("scan --quiet --save x.svg", "--save ... --quiet"),
    ("scan --quiet --json", "--quiet ... --json"),
    ("scan --max-ulp", "requires an argument (see stablelse scan --help)"),
    ("lab 1 2", "the lab needs a terminal"),
    ("lab 1 2 --exercise 1", "--exercise brings its own numbers"),
    ("lab --exercise 2 --dtype bfloat16", "leave out all others"),
    ("lab 1 --dtype longdouble", "the lab goes up to float64"),
    ("lab 1 --dtype float16 --dtype float32", "one format at a time ... give --dtype once"),
    ("lab 1 --dtype float8_e5m2 --save x.html", "a page has no float8_e5m2"),
    (f"lab{' 1' * 13} --save x.html", "12 at most, not 13"),
    ("lab 1 --save x.svg", "ends in none of .html"),
    ("lab --exercise 6", "1<=x<=5"),
    ("audit --logits - --values -", "standard input can be read only once"),
    ("audit -f x", "give the numbers to grade with --values"),
    ("audit -f e308 --values x --dtype float16",
     "e308, row 2, x_2 is 1e+308, which does not fit float16"),
    ("audit -f x3 --values x", "x has fewer rows than the logits"),
    ("audit -f row3 --values x", "x has 2 numbers a row, but softmax of row3 has 3"),
    ("audit -f one --values one --labels one --function nll --ignore-index 1", "label is 1"),
    *((f"audit -f x --values {more}", complaint)
      for more, complaint in (
        ("column", "column has 1 number a row, but softmax of x has 2"),
        ("x --function lse", "x has 2 numbers a row, but lse of x has 1"),
        ("x3", "x3 has more rows than the logits"),
        ("nowhere", "cannot read nowhere"),
        ("y --function nll", "nll needs labels"),
        ("x --labels y", "labels go with --function nll"),
        ("y --labels y --function nll --skip-na", "renumber the classes"),
        ("x --row 1", "audit has no --row"),
        ("x --fail-on ulp", "did you mean ulp>N?): choose from broken, ulp>N"),
        ("x --dtype float32 --dtype float16", "one format ... give --dtype once"))),
    # the linter
    ("lint --explain LSE001 --format json", "--explain ... leave out --format"),
    ("lint m.py --explain LSE001", "--explain ... leave out m.py"),
    ("lint --diff -o x.patch", "--diff prints ... leave out --output"),
    # the tour
    ("demo --scene overflw", "unknown scene 'overflw' (did you mean overflow?): choose from why,"),
    ("demo --list --json", "--list prints only names"),
    ("demo --list --save x.svg", "--list prints only names"),
    # output files
    ("softmax 1 2 --dtype float64 --dtype float32 -o p.npy", "one method in one format"),
    ("softmax 1 2 --method naive --method shifted -o p.npy", "one method in one format"),
    ("softmax 1 2 --dtype bfloat16 -o p.npy", "a .npy file has no bfloat16"),
    ("softmax 1 2 --save p.svg -o p.npy", "p.npy has the numbers ... leave out --save"),
    ("softmax 1 2 --fail-on nan -o p.npy", "p.npy has the numbers ... leave out --fail-on"),
    ("softmax 1 2 --digits 3 -o p.npy", "--digits is for the table"),
    ("softmax 1 2 -o p.csv.gz", "p.csv.gz would hold text, in spite of .gz"),
    ("softmax --by rows -f x -f short -o p.npy", "a file needs vectors of the same length"),
    *((f"{command} -o x.NPY", "x.NPY would hold text")
      for command in ("softmax 1 2 -q", "softmax 1 2 --json", "lse 1 2")),
    ("scan -q -o x.NPY", "--quiet prints nothing"),
    ("scan -o x.npz", "x.npz would hold text"),
    *((f"lse 1 2 {twice}", "p.svg would be written twice: name two files")
      for twice in ("-o p.svg --save p.svg", "--save p.svg --save ./p.svg")),
    ("lse 1 -o x.csv", "x.csv would hold a table for people: add --format csv"),
    ("softmax 1 --errors -o x.csv", "x.csv would hold a table for people: add --format csv"),
    ("limits -o x.json --format plain", "x.json would hold a table for people: add --format json"),
    ("lse no --save x.png", "Invalid value for '--save': 'x.png' ends in none of .svg, .html, .txt:"
     " the suffix says what is saved (see stablelse lse --help)"),
    ("limits --save x.svg --save svg", "'svg' ends in none of .svg, .html, .txt"),
    ("softmax no -q --save x.svg", "--save saves a picture of the table: it does not go with "
     "--quiet (see stablelse softmax --help)"),
    ("peers no --json --save x.svg", "it does not go with --"),
    ("prove lse --format latex --save x.svg", "it does not go with --format"),
    ("lse 1 --save x.txt --save no/x.svg", "cannot write no/x.svg: no such directory"),
    ("lse 1 --save x.txt --save d.svg", "cannot write d.svg: Is a directory"),
    ("sweep no --save x.gif", "'x.gif' ends in none of .png, .svg, .pdf, .html, .txt"),
    ("sweep no --json --save x.txt", "it does not go with --"),
    ("lse 1 no --save x.svg", "arguments, number 2: 'no' is not a number"),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with all files; nothing may be added."""
    folder = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for kind, texts in (("labels", LABELS), ("mask", MASKS)):
        for number, text in enumerate(texts):
            (folder / f"{kind}{number}").write_text(text)
    (folder / "d" / "e").mkdir(parents=True)
    (folder / "nan").write_text("1,2\n3,NA\n")
    (folder / "e308").write_text("1,2\n3,1e308\n")
    (folder / "x.gz").write_bytes(gzip.compress(b"1\n2\n")[:-3])
    (folder / "d.svg").mkdir()
    np.savez(folder / "x.npz", a=np.arange(3.0), b=np.arange(4.0))
    np.save(folder / "3.npy", np.arange(24.0).reshape(2, 3, 4))
    np.save(folder / "2.npy", np.arange(12.0).reshape(3, 4))
    return folder


@pytest.mark.parametrize(("command", "complaint"), REFUSED, ids=lambda value: value[:60])
def test_one_clear_line(command, complaint, run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    done = run(command, stdin=STDIN)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("stablelse: error: ")
    assert done.err.count("\n") == 1
    assert len(done.err) < 500
    assert re.search(".*".join(map(re.escape, complaint.split(" ... "))), done.err)
    assert sorted(folder.iterdir()) == before


def test_no_permission(run, tmp_path, monkeypatch):
    file = tmp_path / "x.csv"
    file.write_text("1\n")
    file.chmod(0)
    if os.access(file, os.R_OK):  # root may read anything
        real = open

        def refuse(path, *args, **options):
            if str(path) == str(file):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *args, **options)

        monkeypatch.setattr("builtins.open", refuse)
    done = run("lse", "--file", file)
    assert (done.code, done.out) == (2, "")
    said = f"cannot read {file}: Permission denied; ask its owner for the right to read it"
    assert done.err == f"stablelse: error: {said}\n"


def test_closed_standard_input(process):
    done = process("lse", preexec_fn=lambda: os.close(0))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard input" in done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that fails to read")
def test_unreadable_pipe(process):
    with open("/proc/self/mem", "rb") as broken:
        done = process("lse", stdin=broken)
    assert done.returncode == 2
    assert done.stderr == "stablelse: error: cannot read standard input: Input/output error\n"


def test_out_of_memory_is_one_line(run, monkeypatch):
    def gathered(*_):
        raise MemoryError

    monkeypatch.setattr("stablelse.cli.evaluate.Compared", gathered)
    done = run("softmax", "1", "2")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "stablelse: error: out of memory; lse, and softmax with --quiet or --output FILE.npy, take "
        "vectors of any length\n"
    )
