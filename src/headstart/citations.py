"""What to cite: the BibTeX of precisely what a recipe, study or source is made of."""

from __future__ import annotations

from headstart.errors import unknown

__all__ = ["COMPOSED", "ENTRIES", "bibtex"]

SCORES = ("agarwal2021",)  # every number that is reported with an interval
PPO = ("schulman2017", "schulman2016")
A2C = ("mnih2016", "schulman2016", "wang2016", "wang2018")
DQN = ("mnih2015", "vanhasselt2016")
DDPG = ("lillicrap2016",)
TD3 = ("fujimoto2018",)
SAC = ("haarnoja2018", "haarnoja2018b")
ROBOTS = ("plappert2018", "towers2024")
HINDSIGHT = ("andrychowicz2017",)
UVFA = ("schaul2015", "sutton1999")
FACTORS = ("koren2009",)
HORDE = ("sutton2011", "maei2010gq", "maei2010greedy")
GOALS = ("binz2017goal",)
PERCEPTUAL = ("edwards2017cdpr", "oord2018")
RL2 = ("duan2016", "wang2016")
XLAND = ("nikulin2024xland", "ada2023")
LSTM = ("hochreiter1997", "gers2000")
TWO_STEP = ("daw2011", "wang2018")
VOLATILE = ("behrens2007", "wang2018")
LEARNING_SET = ("harlow1949", "wang2018")
CLASSICAL = ("thompson1933", "auer2002", "gittins1979", "kaufmann2018", "osband2013")
TRPO = ("schulman2015trpo",)
DICE = ("foerster2018dice", "farquhar2019loaded")
MAML = ("finn2017maml", *TRPO, *DICE, "stadie2018emaml", "rothfuss2019promp", "duan2016benchmark")
MAESN = ("gupta2018maesn", *TRPO, "duan2016benchmark")
Q_LEARNING = ("watkins1992",)
META_PARAMETERS = ("schweighofer2003meta",)
RING = ("tanaka2004", *META_PARAMETERS)
ALPHAZERO = ("silver2017", "silver2018", "danihelka2022", "deepmind2020jax")
TRANSFER = ("taylor2009transfer", "wolczyk2021continual")
NET2NET = ("chen2016net2net", "taylor2007mappings")
PROGRESSIVE = ("rusu2016progressive",)
SPATIAL = ("janner2018spatial",)
ACTOR_MIMIC = ("parisotto2016actormimic",)
BABYAI = ("chevalierboisvert2019babyai", "chevalierboisvert2023minigrid")
GROUNDING = ("narasimhan2018grounding",)
TASKS = ("oh2017zeroshot", "rusu2016distillation")
OPTIONS = ("sutton1999options",)
UNIVERSAL = ("schaul2015", "perez2018", "duan2016", "humplik2019", "kim2014", "abdolmaleki2018")

COMPOSED: dict[str, tuple[str, ...]] = {
    "cartpole-ppo": PPO + SCORES,
    "acrobot-ppo": PPO + SCORES,
    "cartpole-dqn": DQN + SCORES,
    "acrobot-dqn": DQN + SCORES,
    "mountaincar-ppo": PPO + SCORES,
    "mountaincar-dqn": DQN + SCORES,
    "hindsight": HINDSIGHT + DQN + SAC + SCORES,
    "bitflipping-hindsight": HINDSIGHT + DQN + SCORES,
    "push-hindsight": HINDSIGHT + SAC + SCORES,
    "fetchreach-hindsight": HINDSIGHT + SAC + ROBOTS + SCORES,
    "fetchpush-hindsight": HINDSIGHT + SAC + ROBOTS + SCORES,
    "pendulum-ddpg": DDPG + SCORES,
    "pendulum-td3": TD3 + SCORES,
    "pendulum-sac": SAC + SCORES,
    "fourrooms-uvfa": UVFA + HINDSIGHT + DQN + SCORES,
    "uvfa": UVFA + FACTORS + SCORES,
    "horde": HORDE + UVFA + FACTORS + SCORES,
    "goal_directed": GOALS + PPO + ("pathak2017",) + SCORES,
    "pointgather-goals": GOALS + PPO + ("pathak2017", "duan2016benchmark") + SCORES,
    "perceptual_reward": PERCEPTUAL + DQN + SCORES,
    "bandit-rl2": RL2 + PPO + SCORES,
    "rl2": RL2 + PPO + CLASSICAL + SCORES,
    "navigation-maml": MAML + SCORES,
    "direction-maml": MAML + SCORES,
    "halfcheetah-maml": (*MAML, "freeman2021", *SCORES),
    "maml": MAML + SCORES,
    "meta_parameters": META_PARAMETERS + Q_LEARNING + ("tanaka2004",) + SCORES,
    "twostep-prefrontal": TWO_STEP + PPO + LSTM + SCORES,
    "two_step": (*TWO_STEP, "akam2015", *PPO, *LSTM, *SCORES),
    "volatilebandit-prefrontal": VOLATILE + PPO + LSTM + ("rescorla1972", *SCORES),
    "volatile_bandit": VOLATILE + PPO + LSTM + ("rescorla1972", *SCORES),
    "transfer": TRANSFER + NET2NET + PROGRESSIVE + PPO + SCORES,
    "spatial_reasoning": SPATIAL + UVFA + LSTM + SCORES,
    "language_transfer": GROUNDING + DQN + ACTOR_MIMIC + SCORES,
    "task_generalization": TASKS + OPTIONS + PPO + LSTM + SCORES,
    "rule_texts": ("reimers2019", "wang2020minilm", "kim2014", "humplik2019", *SCORES),
    "halfcircle-maesn": MAESN + SCORES,
    "maesn": (*MAESN, "finn2017maml", *SCORES),
    "harlow-prefrontal": LEARNING_SET + PPO + LSTM + SCORES,
    "harlow": LEARNING_SET + PPO + LSTM + SCORES,
    "structured_bandit": ("wang2016", *CLASSICAL, *PPO, *LSTM, *SCORES),
    "xland-rl2": XLAND + RL2 + PPO + SCORES,
    "xland": XLAND + RL2 + PPO + SCORES,
    "reading": ("kim2014", "humplik2019"),
    "newgame": UNIVERSAL + PPO + ALPHAZERO + ("kurenkov2018", "koyamada2023") + SCORES,
    "Hindsight": HINDSIGHT,
    "GoalDirected": GOALS + PPO,
    "PerceptualReward": PERCEPTUAL,
    "Foresight": ("abdolmaleki2018",),
    "Bandit": RL2,
    "DependentBandit": ("wang2016",),
    "InformativeBandit": ("wang2016",),
    "VolatileBandit": VOLATILE,
    "Harlow": LEARNING_SET,
    "XLand": XLAND,
    "TabularMDP": (*RL2, "osband2013"),
    "TwoStep": TWO_STEP,
    "Ring": RING,
    "classical": CLASSICAL,
    "net2net": NET2NET,
    "Progressive": PROGRESSIVE,
    "PuddleMaps": SPATIAL,
    "FriendsAndEnemies": GROUNDING,
    "ObjectGrid": ("oh2017zeroshot",),
    "Analogies": ("oh2017zeroshot",),
    "Options": OPTIONS,
    "objectgrid-analogies": TASKS + PPO + SCORES,
    "friends-textvin": GROUNDING + DQN + SCORES,
    "Grounded": SPATIAL,
    "MiniLM": ("wang2020minilm", "reimers2019"),
    "Attentive": ("vaswani2017",),
    "TwoStream": UVFA,
    "Horde": HORDE,
    "MAML": MAML,
    "MAESN": MAESN,
    "HalfCircle": ("gupta2018maesn",),
    "MetaParameters": META_PARAMETERS,
    "TrustRegion": TRPO,
    "PPO": PPO,
    "A2C": A2C,
    "QLearning": Q_LEARNING,
    "DQN": DQN,
    "DDPG": DDPG,
    "TD3": TD3,
    "SAC": SAC,
    "AlphaZero": ALPHAZERO,
    "GRU": ("cho2014",),
    "LSTM": LSTM,
    "MinimalGRU": ("feng2024",),
    "FastWeights": ("schlag2021", "schmidhuber1992"),
    "RecurrentActorCritic": ("duan2016", "wang2016", "cho2014"),
    "TwinRecurrentActorCritic": ("duan2016", "wang2016", "cho2014"),
    "gymnasium": ("towers2024",),
    "pgx": ("koyamada2023",),
    "brax": ("freeman2021", "finn2017maml"),
    "metaworld": ("yu2019metaworld", "mclean2025metaworldplus"),
    "BabyAI": BABYAI,
    "babyai": (*BABYAI, "hui2020babyai", "perez2018film", "reimers2019", "wang2020minilm", *PPO, *SCORES),
    "babyai-filtered": (*BABYAI, "perez2018film", *PPO, *SCORES),
}
"""The keys of what each thing is made of, by its name on the command line."""


def bibtex(name: str) -> str:
    """The entries for a name of `COMPOSED`, or the one of that key.

    **Raises:** `UsageError` with the nearest name, if there is none.
    """
    keys = COMPOSED.get(name) or ((name,) if name in ENTRIES else None)
    if keys is None:
        raise unknown("recipe, study or source to cite", name, COMPOSED)
    return "\n".join(f"{_entry(key)}\n" for key in keys)


def _entry(key: str) -> str:
    kind, fields = ENTRIES[key]
    lines = (f"  {name:<9} = {{{value}}}," for name, value in fields.items())
    return "\n".join((f"@{kind}{{{key},", *lines, "}"))


Entry = tuple[str, dict[str, str]]


def _arxiv(identifier: str) -> dict[str, str]:
    return {"journal": f"arXiv preprint arXiv:{identifier}"}


ENTRIES: dict[str, Entry] = {
    "taylor2009transfer": (
        "article",
        {
            "author": "Taylor, Matthew E. and Stone, Peter",
            "title": "Transfer Learning for Reinforcement Learning Domains: A Survey",
            "journal": "Journal of Machine Learning Research",
            "volume": "10",
            "pages": "1633--1685",
            "year": "2009",
        },
    ),
    "taylor2007mappings": (
        "article",
        {
            "author": "Taylor, Matthew E. and Stone, Peter and Liu, Yaxin",
            "title": "Transfer Learning via Inter-Task Mappings for Temporal Difference Learning",
            "journal": "Journal of Machine Learning Research",
            "volume": "8",
            "pages": "2125--2167",
            "year": "2007",
        },
    ),
    "wolczyk2021continual": (
        "inproceedings",
        {
            "author": "Wołczyk, Maciej and Zając, Michał and Pascanu, Razvan and Kuciński, Łukasz and Miłoś, Piotr",
            "title": "Continual World: A Robotic Benchmark for Continual Reinforcement Learning",
            "booktitle": "Advances in Neural Information Processing Systems",
            "volume": "34",
            "year": "2021",
        },
    ),
    "chen2016net2net": (
        "inproceedings",
        {
            "author": "Chen, Tianqi and Goodfellow, Ian and Shlens, Jonathon",
            "title": "Net2Net: Accelerating Learning via Knowledge Transfer",
            "booktitle": "International Conference on Learning Representations",
            "year": "2016",
        },
    ),
    "rusu2016progressive": (
        "article",
        {
            "author": "Rusu, Andrei A. and Rabinowitz, Neil C. and Desjardins, Guillaume and Soyer, Hubert and "
            "Kirkpatrick, James and Kavukcuoglu, Koray and Pascanu, Razvan and Hadsell, Raia",
            "title": "Progressive Neural Networks",
            **_arxiv("1606.04671"),
            "year": "2016",
        },
    ),
    "janner2018spatial": (
        "article",
        {
            "author": "Janner, Michael and Narasimhan, Karthik and Barzilay, Regina",
            "title": "Representation Learning for Grounded Spatial Reasoning",
            "journal": "Transactions of the Association for Computational Linguistics",
            "volume": "6",
            "pages": "49--61",
            "year": "2018",
        },
    ),
    "narasimhan2018grounding": (
        "article",
        {
            "author": "Narasimhan, Karthik and Barzilay, Regina and Jaakkola, Tommi",
            "title": "Grounding Language for Transfer in Deep Reinforcement Learning",
            "journal": "Journal of Artificial Intelligence Research",
            "volume": "63",
            "pages": "849--874",
            "year": "2018",
        },
    ),
    "oh2017zeroshot": (
        "inproceedings",
        {
            "author": "Oh, Junhyuk and Singh, Satinder and Lee, Honglak and Kohli, Pushmeet",
            "title": "Zero-Shot Task Generalization with Multi-Task Deep Reinforcement Learning",
            "booktitle": "International Conference on Machine Learning",
            "pages": "2661--2670",
            "year": "2017",
        },
    ),
    "rusu2016distillation": (
        "inproceedings",
        {
            "author": "Rusu, Andrei A. and Colmenarejo, Sergio Gomez and Gulcehre, Caglar and Desjardins, Guillaume "
            "and Kirkpatrick, James and Pascanu, Razvan and Mnih, Volodymyr and Kavukcuoglu, Koray and Hadsell, Raia",
            "title": "Policy Distillation",
            "booktitle": "International Conference on Learning Representations",
            "year": "2016",
        },
    ),
    "sutton1999options": (
        "article",
        {
            "author": "Sutton, Richard S. and Precup, Doina and Singh, Satinder",
            "title": "Between {MDPs} and semi-{MDPs}: A Framework for Temporal Abstraction in Reinforcement Learning",
            "journal": "Artificial Intelligence",
            "volume": "112",
            "pages": "181--211",
            "year": "1999",
        },
    ),
    "wang2020minilm": (
        "inproceedings",
        {
            "author": "Wang, Wenhui and Wei, Furu and Dong, Li and Bao, Hangbo and Yang, Nan and Zhou, Ming",
            "title": "{MiniLM}: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained "
            "Transformers",
            "booktitle": "Advances in Neural Information Processing Systems",
            "year": "2020",
        },
    ),
    "reimers2019": (
        "inproceedings",
        {
            "author": "Reimers, Nils and Gurevych, Iryna",
            "title": "Sentence-{BERT}: Sentence Embeddings using {Siamese} {BERT}-Networks",
            "booktitle": "Conference on Empirical Methods in Natural Language Processing",
            "year": "2019",
        },
    ),
    "vaswani2017": (
        "inproceedings",
        {
            "author": "Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and "
            "Gomez, Aidan N. and Kaiser, {\\L}ukasz and Polosukhin, Illia",
            "title": "Attention is All You Need",
            "booktitle": "Advances in Neural Information Processing Systems",
            "year": "2017",
        },
    ),
    "schulman2017": (
        "article",
        {
            "author": "Schulman, John and Wolski, Filip and Dhariwal, Prafulla and Radford, Alec and Klimov, Oleg",
            "title": "Proximal Policy Optimization Algorithms",
            **_arxiv("1707.06347"),
            "year": "2017",
        },
    ),
    "schulman2016": (
        "inproceedings",
        {
            "author": "Schulman, John and Moritz, Philipp and Levine, Sergey and Jordan, Michael I. and Abbeel, Pieter",
            "title": "High-Dimensional Continuous Control Using Generalized Advantage Estimation",
            "booktitle": "International Conference on Learning Representations",
            "year": "2016",
        },
    ),
    "mnih2016": (
        "inproceedings",
        {
            "author": "Mnih, Volodymyr and Badia, Adri{\\`a} Puigdom{\\`e}nech and Mirza, Mehdi and Graves, Alex and "
            "Harley, Tim and Lillicrap, Timothy P. and Silver, David and Kavukcuoglu, Koray",
            "title": "Asynchronous Methods for Deep Reinforcement Learning",
            "booktitle": "International Conference on Machine Learning",
            "year": "2016",
        },
    ),
    "wang2016": (
        "article",
        {
            "author": "Wang, Jane X. and Kurth-Nelson, Zeb and Tirumala, Dhruva and Soyer, Hubert and Leibo, Joel Z. "
            "and Munos, Remi and Blundell, Charles and Kumaran, Dharshan and Botvinick, Matt",
            "title": "Learning to Reinforcement Learn",
            **_arxiv("1611.05763"),
            "year": "2016",
        },
    ),
    "wang2018": (
        "article",
        {
            "author": "Wang, Jane X. and Kurth-Nelson, Zeb and Kumaran, Dharshan and Tirumala, Dhruva and Soyer, "
            "Hubert and Leibo, Joel Z. and Hassabis, Demis and Botvinick, Matthew",
            "title": "Prefrontal cortex as a meta-reinforcement learning system",
            "journal": "Nature Neuroscience",
            "volume": "21",
            "pages": "860--868",
            "year": "2018",
        },
    ),
    "schweighofer2003meta": (
        "article",
        {
            "author": "Schweighofer, Nicolas and Doya, Kenji",
            "title": "Meta-learning in reinforcement learning",
            "journal": "Neural Networks",
            "volume": "16",
            "number": "1",
            "pages": "5--9",
            "year": "2003",
        },
    ),
    "tanaka2004": (
        "article",
        {
            "author": "Tanaka, Saori C. and Doya, Kenji and Okada, Go and Ueda, Kazutaka and Okamoto, Yasumasa and "
            "Yamawaki, Shigeto",
            "title": "Prediction of immediate and future rewards differentially recruits cortico-basal ganglia loops",
            "journal": "Nature Neuroscience",
            "volume": "7",
            "number": "8",
            "pages": "887--893",
            "year": "2004",
        },
    ),
    "watkins1992": (
        "article",
        {
            "author": "Watkins, Christopher J. C. H. and Dayan, Peter",
            "title": "Q-learning",
            "journal": "Machine Learning",
            "volume": "8",
            "pages": "279--292",
            "year": "1992",
        },
    ),
    "cho2014": (
        "inproceedings",
        {
            "author": 'Cho, Kyunghyun and van Merri{\\"e}nboer, Bart and Gulcehre, Caglar and Bahdanau, Dzmitry and '
            "Bougares, Fethi and Schwenk, Holger and Bengio, Yoshua",
            "title": "Learning Phrase Representations using {RNN} Encoder--Decoder for Statistical Machine Translation",
            "booktitle": "Conference on Empirical Methods in Natural Language Processing",
            "pages": "1724--1734",
            "year": "2014",
        },
    ),
    "hochreiter1997": (
        "article",
        {
            "author": 'Hochreiter, Sepp and Schmidhuber, J{\\"u}rgen',
            "title": "Long Short-Term Memory",
            "journal": "Neural Computation",
            "volume": "9",
            "number": "8",
            "pages": "1735--1780",
            "year": "1997",
        },
    ),
    "gers2000": (
        "article",
        {
            "author": 'Gers, Felix A. and Schmidhuber, J{\\"u}rgen and Cummins, Fred',
            "title": "Learning to Forget: Continual Prediction with {LSTM}",
            "journal": "Neural Computation",
            "volume": "12",
            "number": "10",
            "pages": "2451--2471",
            "year": "2000",
        },
    ),
    "feng2024": (
        "article",
        {
            "author": "Feng, Leo and Tung, Frederick and Ahmed, Mohamed Osama and Bengio, Yoshua and Hajimirsadeghi, "
            "Hossein",
            "title": "Were {RNN}s All We Needed?",
            **_arxiv("2410.01201"),
            "year": "2024",
        },
    ),
    "schlag2021": (
        "inproceedings",
        {
            "author": 'Schlag, Imanol and Irie, Kazuki and Schmidhuber, J{\\"u}rgen',
            "title": "Linear Transformers Are Secretly Fast Weight Programmers",
            "booktitle": "International Conference on Machine Learning",
            "pages": "9355--9366",
            "year": "2021",
        },
    ),
    "schmidhuber1992": (
        "article",
        {
            "author": 'Schmidhuber, J{\\"u}rgen',
            "title": "Learning to Control Fast-Weight Memories: An Alternative to Dynamic Recurrent Networks",
            "journal": "Neural Computation",
            "volume": "4",
            "number": "1",
            "pages": "131--139",
            "year": "1992",
        },
    ),
    "lillicrap2016": (
        "inproceedings",
        {
            "author": "Lillicrap, Timothy P. and Hunt, Jonathan J. and Pritzel, Alexander and Heess, Nicolas and Erez, "
            "Tom and Tassa, Yuval and Silver, David and Wierstra, Daan",
            "title": "Continuous control with deep reinforcement learning",
            "booktitle": "International Conference on Learning Representations",
            "year": "2016",
        },
    ),
    "fujimoto2018": (
        "inproceedings",
        {
            "author": "Fujimoto, Scott and van Hoof, Herke and Meger, David",
            "title": "Addressing Function Approximation Error in Actor-Critic Methods",
            "booktitle": "International Conference on Machine Learning",
            "year": "2018",
        },
    ),
    "haarnoja2018": (
        "inproceedings",
        {
            "author": "Haarnoja, Tuomas and Zhou, Aurick and Abbeel, Pieter and Levine, Sergey",
            "title": "Soft Actor-Critic: Off-Policy Maximum Entropy Deep Reinforcement Learning with a Stochastic "
            "Actor",
            "booktitle": "International Conference on Machine Learning",
            "year": "2018",
        },
    ),
    "haarnoja2018b": (
        "article",
        {
            "author": "Haarnoja, Tuomas and Zhou, Aurick and Hartikainen, Kristian and Tucker, George and Ha, Sehoon "
            "and Tan, Jie and Kumar, Vikash and Zhu, Henry and Gupta, Abhishek and Abbeel, Pieter and Levine, Sergey",
            "title": "Soft Actor-Critic Algorithms and Applications",
            "journal": "arXiv preprint arXiv:1812.05905",
            "year": "2018",
        },
    ),
    "plappert2018": (
        "article",
        {
            "author": "Plappert, Matthias and Andrychowicz, Marcin and Ray, Alex and McGrew, Bob and Baker, Bowen and "
            "Powell, Glenn and Schneider, Jonas and Tobin, Josh and Chociej, Maciek and Welinder, Peter and "
            "Kumar, Vikash and Zaremba, Wojciech",
            "title": "Multi-Goal Reinforcement Learning: Challenging Robotics Environments and Request for Research",
            "journal": "arXiv preprint arXiv:1802.09464",
            "year": "2018",
        },
    ),
    "mnih2015": (
        "article",
        {
            "author": "Mnih, Volodymyr and Kavukcuoglu, Koray and Silver, David and Rusu, Andrei A. and Veness, Joel "
            "and Bellemare, Marc G. and Graves, Alex and Riedmiller, Martin and Fidjeland, Andreas K. and "
            "Ostrovski, Georg and Petersen, Stig and Beattie, Charles and Sadik, Amir and Antonoglou, Ioannis and "
            "King, Helen and Kumaran, Dharshan and Wierstra, Daan and Legg, Shane and Hassabis, Demis",
            "title": "Human-level control through deep reinforcement learning",
            "journal": "Nature",
            "volume": "518",
            "pages": "529--533",
            "year": "2015",
        },
    ),
    "vanhasselt2016": (
        "inproceedings",
        {
            "author": "van Hasselt, Hado and Guez, Arthur and Silver, David",
            "title": "Deep Reinforcement Learning with Double {Q}-Learning",
            "booktitle": "Proceedings of the AAAI Conference on Artificial Intelligence",
            "volume": "30",
            "year": "2016",
        },
    ),
    "silver2017": (
        "article",
        {
            "author": "Silver, David and Schrittwieser, Julian and Simonyan, Karen and Antonoglou, Ioannis and "
            "Huang, Aja and Guez, Arthur and Hubert, Thomas and Baker, Lucas and Lai, Matthew and Bolton, Adrian and "
            "Chen, Yutian and Lillicrap, Timothy and Hui, Fan and Sifre, Laurent and van den Driessche, George and "
            "Graepel, Thore and Hassabis, Demis",
            "title": "Mastering the game of {Go} without human knowledge",
            "journal": "Nature",
            "volume": "550",
            "pages": "354--359",
            "year": "2017",
        },
    ),
    "silver2018": (
        "article",
        {
            "author": "Silver, David and Hubert, Thomas and Schrittwieser, Julian and Antonoglou, Ioannis and "
            "Lai, Matthew and Guez, Arthur and Lanctot, Marc and Sifre, Laurent and Kumaran, Dharshan and "
            "Graepel, Thore and Lillicrap, Timothy and Simonyan, Karen and Hassabis, Demis",
            "title": "A general reinforcement learning algorithm that masters chess, shogi, and {Go} through self-play",
            "journal": "Science",
            "volume": "362",
            "number": "6419",
            "pages": "1140--1144",
            "year": "2018",
        },
    ),
    "danihelka2022": (
        "inproceedings",
        {
            "author": "Danihelka, Ivo and Guez, Arthur and Schrittwieser, Julian and Silver, David",
            "title": "Policy improvement by planning with {Gumbel}",
            "booktitle": "International Conference on Learning Representations",
            "year": "2022",
        },
    ),
    "deepmind2020jax": (
        "misc",
        {
            "author": "{DeepMind} and Babuschkin, Igor and Baumli, Kate and Bell, Alison and others",
            "title": "The {DeepMind} {JAX} Ecosystem",
            "url": "http://github.com/google-deepmind",
            "year": "2020",
        },
    ),
    "perez2018": (
        "inproceedings",
        {
            "author": "Perez, Ethan and Strub, Florian and de Vries, Harm and Dumoulin, Vincent and Courville, Aaron",
            "title": "{FiLM}: Visual Reasoning with a General Conditioning Layer",
            "booktitle": "Proceedings of the AAAI Conference on Artificial Intelligence",
            "volume": "32",
            "year": "2018",
        },
    ),
    "andrychowicz2017": (
        "inproceedings",
        {
            "author": "Andrychowicz, Marcin and Wolski, Filip and Ray, Alex and Schneider, Jonas and Fong, Rachel and "
            "Welinder, Peter and McGrew, Bob and Tobin, Josh and Abbeel, Pieter and Zaremba, Wojciech",
            "title": "Hindsight Experience Replay",
            "booktitle": "Advances in Neural Information Processing Systems",
            "volume": "30",
            "year": "2017",
        },
    ),
    "binz2017goal": (
        "mastersthesis",
        {
            "author": "Binz, Marcel",
            "title": "Learning Goal-Directed Behaviour",
            "school": "KTH Royal Institute of Technology",
            "year": "2017",
        },
    ),
    "edwards2017cdpr": (
        "article",
        {
            "author": "Edwards, Ashley D. and Sood, Srijan and Isbell, Jr., Charles L.",
            "title": "Cross-Domain Perceptual Reward Functions",
            **_arxiv("1705.09045"),
            "year": "2017",
        },
    ),
    "oord2018": (
        "article",
        {
            "author": "van den Oord, Aaron and Li, Yazhe and Vinyals, Oriol",
            "title": "Representation Learning with Contrastive Predictive Coding",
            **_arxiv("1807.03748"),
            "year": "2018",
        },
    ),
    "pathak2017": (
        "inproceedings",
        {
            "author": "Pathak, Deepak and Agrawal, Pulkit and Efros, Alexei A. and Darrell, Trevor",
            "title": "Curiosity-driven Exploration by Self-supervised Prediction",
            "booktitle": "International Conference on Machine Learning",
            "series": "Proceedings of Machine Learning Research",
            "volume": "70",
            "pages": "2778--2787",
            "year": "2017",
        },
    ),
    "duan2016benchmark": (
        "inproceedings",
        {
            "author": "Duan, Yan and Chen, Xi and Houthooft, Rein and Schulman, John and Abbeel, Pieter",
            "title": "Benchmarking Deep Reinforcement Learning for Continuous Control",
            "booktitle": "International Conference on Machine Learning",
            "series": "Proceedings of Machine Learning Research",
            "volume": "48",
            "pages": "1329--1338",
            "year": "2016",
        },
    ),
    "abdolmaleki2018": (
        "inproceedings",
        {
            "author": "Abdolmaleki, Abbas and Springenberg, Jost Tobias and Tassa, Yuval and Munos, Remi and Heess, "
            "Nicolas and Riedmiller, Martin",
            "title": "Maximum a Posteriori Policy Optimisation",
            "booktitle": "International Conference on Learning Representations",
            "year": "2018",
        },
    ),
    "sutton1999": (
        "article",
        {
            "author": "Sutton, Richard S. and Precup, Doina and Singh, Satinder",
            "title": "Between {MDPs} and Semi-{MDPs}: A Framework for Temporal Abstraction in Reinforcement Learning",
            "journal": "Artificial Intelligence",
            "volume": "112",
            "number": "1-2",
            "pages": "181--211",
            "year": "1999",
        },
    ),
    "sutton2011": (
        "inproceedings",
        {
            "author": "Sutton, Richard S. and Modayil, Joseph and Delp, Michael and Degris, Thomas and "
            "Pilarski, Patrick M. and White, Adam and Precup, Doina",
            "title": "Horde: A Scalable Real-time Architecture for Learning Knowledge from Unsupervised "
            "Sensorimotor Interaction",
            "booktitle": "International Conference on Autonomous Agents and Multiagent Systems",
            "pages": "761--768",
            "year": "2011",
        },
    ),
    "maei2010gq": (
        "inproceedings",
        {
            "author": "Maei, Hamid Reza and Sutton, Richard S.",
            "title": "{GQ($\\lambda$)}: A General Gradient Algorithm for Temporal-Difference Prediction Learning with "
            "Eligibility Traces",
            "booktitle": "Conference on Artificial General Intelligence",
            "year": "2010",
        },
    ),
    "maei2010greedy": (
        "inproceedings",
        {
            "author": "Maei, Hamid Reza and Szepesv{\\'a}ri, Csaba and Bhatnagar, Shalabh and Sutton, Richard S.",
            "title": "Toward Off-Policy Learning Control with Function Approximation",
            "booktitle": "International Conference on Machine Learning",
            "pages": "719--726",
            "year": "2010",
        },
    ),
    "koren2009": (
        "article",
        {
            "author": "Koren, Yehuda and Bell, Robert and Volinsky, Chris",
            "title": "Matrix Factorization Techniques for Recommender Systems",
            "journal": "Computer",
            "volume": "42",
            "number": "8",
            "pages": "30--37",
            "year": "2009",
        },
    ),
    "schaul2015": (
        "inproceedings",
        {
            "author": "Schaul, Tom and Horgan, Daniel and Gregor, Karol and Silver, David",
            "title": "Universal Value Function Approximators",
            "booktitle": "International Conference on Machine Learning",
            "series": "Proceedings of Machine Learning Research",
            "volume": "37",
            "pages": "1312--1320",
            "year": "2015",
        },
    ),
    "schulman2015trpo": (
        "inproceedings",
        {
            "author": "Schulman, John and Levine, Sergey and Abbeel, Pieter and Jordan, Michael I. and Moritz, Philipp",
            "title": "Trust Region Policy Optimization",
            "booktitle": "International Conference on Machine Learning",
            "year": "2015",
        },
    ),
    "finn2017maml": (
        "inproceedings",
        {
            "author": "Finn, Chelsea and Abbeel, Pieter and Levine, Sergey",
            "title": "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
            "booktitle": "International Conference on Machine Learning",
            "year": "2017",
        },
    ),
    "gupta2018maesn": (
        "inproceedings",
        {
            "author": "Gupta, Abhishek and Mendonca, Russell and Liu, YuXuan and Abbeel, Pieter and Levine, Sergey",
            "title": "Meta-Reinforcement Learning of Structured Exploration Strategies",
            "booktitle": "Advances in Neural Information Processing Systems",
            "year": "2018",
        },
    ),
    "foerster2018dice": (
        "inproceedings",
        {
            "author": 'Foerster, Jakob and Farquhar, Gregory and Al-Shedivat, Maruan and Rockt{\\"a}schel, Tim and '
            "Xing, Eric P. and Whiteson, Shimon",
            "title": "{DiCE}: The Infinitely Differentiable {M}onte {C}arlo Estimator",
            "booktitle": "International Conference on Machine Learning",
            "year": "2018",
        },
    ),
    "farquhar2019loaded": (
        "inproceedings",
        {
            "author": "Farquhar, Gregory and Whiteson, Shimon and Foerster, Jakob",
            "title": "Loaded {DiCE}: Trading off Bias and Variance in Any-Order Score Function Gradient Estimators for "
            "Reinforcement Learning",
            "booktitle": "Advances in Neural Information Processing Systems",
            "year": "2019",
        },
    ),
    "stadie2018emaml": (
        "article",
        {
            "author": "Stadie, Bradly C. and Yang, Ge and Houthooft, Rein and Chen, Xi and Duan, Yan and Wu, "
            "Yuhuai and Abbeel, Pieter and Sutskever, Ilya",
            "title": "Some Considerations on Learning to Explore via Meta-Reinforcement Learning",
            **_arxiv("1803.01118"),
            "year": "2018",
        },
    ),
    "rothfuss2019promp": (
        "inproceedings",
        {
            "author": "Rothfuss, Jonas and Lee, Dennis and Clavera, Ignasi and Asfour, Tamim and Abbeel, Pieter",
            "title": "{ProMP}: Proximal Meta-Policy Search",
            "booktitle": "International Conference on Learning Representations",
            "year": "2019",
        },
    ),
    "duan2016": (
        "article",
        {
            "author": "Duan, Yan and Schulman, John and Chen, Xi and Bartlett, Peter L. and Sutskever, Ilya and "
            "Abbeel, Pieter",
            "title": "{RL}$^2$: Fast Reinforcement Learning via Slow Reinforcement Learning",
            **_arxiv("1611.02779"),
            "year": "2016",
        },
    ),
    "behrens2007": (
        "article",
        {
            "author": "Behrens, Timothy E. J. and Woolrich, Mark W. and Walton, Mark E. and Rushworth, Matthew F. S.",
            "title": "Learning the value of information in an uncertain world",
            "journal": "Nature Neuroscience",
            "volume": "10",
            "pages": "1214--1221",
            "year": "2007",
        },
    ),
    "harlow1949": (
        "article",
        {
            "author": "Harlow, Harry F.",
            "title": "The Formation of Learning Sets",
            "journal": "Psychological Review",
            "volume": "56",
            "number": "1",
            "pages": "51--65",
            "year": "1949",
        },
    ),
    "daw2011": (
        "article",
        {
            "author": "Daw, Nathaniel D. and Gershman, Samuel J. and Seymour, Ben and Dayan, Peter and Dolan, "
            "Raymond J.",
            "title": "Model-Based Influences on Humans' Choices and Striatal Prediction Errors",
            "journal": "Neuron",
            "volume": "69",
            "pages": "1204--1215",
            "year": "2011",
        },
    ),
    "akam2015": (
        "article",
        {
            "author": "Akam, Thomas and Costa, Rui and Dayan, Peter",
            "title": "Simple Plans or Sophisticated Habits? State, Transition and Learning Interactions in the "
            "Two-Step Task",
            "journal": "PLoS Computational Biology",
            "volume": "11",
            "number": "12",
            "pages": "e1004648",
            "year": "2015",
        },
    ),
    "rescorla1972": (
        "incollection",
        {
            "author": "Rescorla, Robert A. and Wagner, Allan R.",
            "title": "A Theory of {Pavlovian} Conditioning: Variations in the Effectiveness of Reinforcement and "
            "Nonreinforcement",
            "booktitle": "Classical Conditioning {II}: Current Research and Theory",
            "editor": "Black, Abraham H. and Prokasy, William F.",
            "publisher": "Appleton-Century-Crofts",
            "pages": "64--99",
            "year": "1972",
        },
    ),
    "thompson1933": (
        "article",
        {
            "author": "Thompson, William R.",
            "title": "On the Likelihood that One Unknown Probability Exceeds Another in View of the Evidence of Two "
            "Samples",
            "journal": "Biometrika",
            "volume": "25",
            "pages": "285--294",
            "year": "1933",
        },
    ),
    "auer2002": (
        "article",
        {
            "author": "Auer, Peter and Cesa-Bianchi, Nicolò and Fischer, Paul",
            "title": "Finite-time Analysis of the Multiarmed Bandit Problem",
            "journal": "Machine Learning",
            "volume": "47",
            "pages": "235--256",
            "year": "2002",
        },
    ),
    "gittins1979": (
        "article",
        {
            "author": "Gittins, John C.",
            "title": "Bandit Processes and Dynamic Allocation Indices",
            "journal": "Journal of the Royal Statistical Society: Series B",
            "volume": "41",
            "pages": "148--177",
            "year": "1979",
        },
    ),
    "kaufmann2018": (
        "article",
        {
            "author": "Kaufmann, Emilie",
            "title": "On {B}ayesian index policies for sequential resource allocation",
            "journal": "The Annals of Statistics",
            "volume": "46",
            "pages": "842--865",
            "year": "2018",
        },
    ),
    "osband2013": (
        "inproceedings",
        {
            "author": "Osband, Ian and Russo, Daniel and Van Roy, Benjamin",
            "title": "(More) Efficient Reinforcement Learning via Posterior Sampling",
            "booktitle": "Advances in Neural Information Processing Systems",
            "volume": "26",
            "year": "2013",
        },
    ),
    "humplik2019": (
        "article",
        {
            "author": "Humplik, Jan and Galashov, Alexandre and Hasenclever, Leonard and Ortega, Pedro A. and "
            "Teh, Yee Whye and Heess, Nicolas",
            "title": "Meta reinforcement learning as task inference",
            **_arxiv("1905.06424"),
            "year": "2019",
        },
    ),
    "kim2014": (
        "inproceedings",
        {
            "author": "Kim, Yoon",
            "title": "Convolutional Neural Networks for Sentence Classification",
            "booktitle": "Proceedings of the 2014 Conference on Empirical Methods in Natural Language Processing",
            "pages": "1746--1751",
            "year": "2014",
        },
    ),
    "kurenkov2018": (
        "article",
        {
            "author": "Kurenkov, Andrey",
            "title": "Reinforcement learning's foundational flaw",
            "journal": "The Gradient",
            "url": "https://thegradient.pub/why-rl-is-flawed/",
            "year": "2018",
        },
    ),
    "freeman2021": (
        "inproceedings",
        {
            "author": "Freeman, C. Daniel and Frey, Erik and Raichuk, Anton and Girgin, Sertan and Mordatch, Igor and "
            "Bachem, Olivier",
            "title": "Brax: A Differentiable Physics Engine for Large Scale Rigid Body Simulation",
            "booktitle": "NeurIPS Datasets and Benchmarks",
            "year": "2021",
        },
    ),
    "chevalierboisvert2019babyai": (
        "inproceedings",
        {
            "author": "Chevalier-Boisvert, Maxime and Bahdanau, Dzmitry and Lahlou, Salem and Willems, Lucas and "
            "Saharia, Chitwan and Nguyen, Thien Huu and Bengio, Yoshua",
            "title": "{BabyAI}: A Platform to Study the Sample Efficiency of Grounded Language Learning",
            "booktitle": "International Conference on Learning Representations",
            "year": "2019",
        },
    ),
    "chevalierboisvert2023minigrid": (
        "inproceedings",
        {
            "author": "Chevalier-Boisvert, Maxime and Dai, Bolun and Towers, Mark and Perez-Vicente, Rodrigo and "
            "Willems, Lucas and Lahlou, Salem and Pal, Suman and Castro, Pablo Samuel and Terry, Jordan",
            "title": "Minigrid \\& Miniworld: Modular \\& Customizable Reinforcement Learning Environments for "
            "Goal-Oriented Tasks",
            "booktitle": "Advances in Neural Information Processing Systems, Datasets and Benchmarks Track",
            "year": "2023",
        },
    ),
    "perez2018film": (
        "inproceedings",
        {
            "author": "Perez, Ethan and Strub, Florian and de Vries, Harm and Dumoulin, Vincent and Courville, Aaron",
            "title": "{FiLM}: Visual Reasoning with a General Conditioning Layer",
            "booktitle": "AAAI Conference on Artificial Intelligence",
            "year": "2018",
        },
    ),
    "hui2020babyai": (
        "article",
        {
            "author": "Hui, David Yu-Tung and Chevalier-Boisvert, Maxime and Bahdanau, Dzmitry and Bengio, Yoshua",
            "title": "{BabyAI} 1.1",
            "year": "2020",
        }
        | _arxiv("2007.12770"),
    ),
    "yu2019metaworld": (
        "inproceedings",
        {
            "author": "Yu, Tianhe and Quillen, Deirdre and He, Zhanpeng and Julian, Ryan and Hausman, Karol and Finn, "
            "Chelsea and Levine, Sergey",
            "title": "Meta-World: A Benchmark and Evaluation for Multi-Task and Meta Reinforcement Learning",
            "booktitle": "Conference on Robot Learning",
            "year": "2019",
        },
    ),
    "mclean2025metaworldplus": (
        "misc",
        {
            "author": 'McLean, Reginald and Chatzaroulas, Evangelos and McCutcheon, Luc and R{\\"o}der, Frank and Yu, '
            "Tianhe and He, Zhanpeng and Zentner, K. R. and Julian, Ryan and Terry, J. K. and Woungang, Isaac and "
            "Farsad, Nariman and Castro, Pablo Samuel",
            "title": "Meta-World+: An Improved, Standardized, RL Benchmark",
            "year": "2025",
            "eprint": "2505.11289",
            "archiveprefix": "arXiv",
        },
    ),
    "parisotto2016actormimic": (
        "inproceedings",
        {
            "author": "Parisotto, Emilio and Ba, Jimmy Lei and Salakhutdinov, Ruslan",
            "title": "Actor-Mimic: Deep Multitask and Transfer Reinforcement Learning",
            "booktitle": "International Conference on Learning Representations",
            "year": "2016",
        },
    ),
    "nikulin2024xland": (
        "inproceedings",
        {
            "author": "Nikulin, Alexander and Kurenkov, Vladislav and Zisman, Ilya and Agarkov, Artem and Sinii, "
            "Viacheslav and Kolesnikov, Sergey",
            "title": "{XLand-MiniGrid}: Scalable Meta-Reinforcement Learning Environments in {JAX}",
            "booktitle": "Advances in Neural Information Processing Systems, Datasets and Benchmarks Track",
            "volume": "37",
            "year": "2024",
        },
    ),
    "ada2023": (
        "inproceedings",
        {
            "author": "{Adaptive Agent Team} and Bauer, Jakob and Baumli, Kate and others",
            "title": "Human-Timescale Adaptation in an Open-Ended Task Space",
            "booktitle": "International Conference on Machine Learning",
            "year": "2023",
        },
    ),
    "koyamada2023": (
        "inproceedings",
        {
            "author": "Koyamada, Sotetsu and Okano, Shinri and Nishimori, Soichiro and Murata, Yu and Habara, Keigo "
            "and Kita, Haruka and Ishii, Shin",
            "title": "Pgx: Hardware-Accelerated Parallel Game Simulators for Reinforcement Learning",
            "booktitle": "Advances in Neural Information Processing Systems",
            "volume": "36",
            "pages": "45716--45743",
            "year": "2023",
        },
    ),
    "towers2024": (
        "article",
        {
            "author": "Towers, Mark and Kwiatkowski, Ariel and Terry, Jordan and Balis, John U. and De Cola, Gianluca "
            "and Deleu, Tristan and Goulão, Manuel and Kallinteris, Andreas and Krimmel, Markus and KG, Arjun and "
            "Perez-Vicente, Rodrigo and Pierré, Andrea and Schulhoff, Sander and Tai, Jun Jet and Tan, Hannah and "
            "Younis, Omar G.",
            "title": "Gymnasium: A Standard Interface for Reinforcement Learning Environments",
            **_arxiv("2407.17032"),
            "year": "2024",
        },
    ),
    "agarwal2021": (
        "inproceedings",
        {
            "author": "Agarwal, Rishabh and Schwarzer, Max and Castro, Pablo Samuel and Courville, Aaron and "
            "Bellemare, Marc G.",
            "title": "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
            "booktitle": "Advances in Neural Information Processing Systems",
            "volume": "34",
            "year": "2021",
        },
    ),
}
