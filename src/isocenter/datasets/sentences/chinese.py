"""Simplified Chinese phrases, with spaces between words."""

from __future__ import annotations

from isocenter.datasets.sentences.phrases import Forms, Language

_FORMS = {
    "contrast": {
        "T1": Forms(before=("T1 加权", "T1", "T1WI", "平扫 T1", "T1 像")),
        "T1c": Forms(
            before=(
                "T1 增强",
                "增强 T1",
                "对比 增强 T1 加权",
                "T1 加权 增强",
                "T1C",
                "增强 T1WI",
                "钆 增强 T1",
                "T1 增强 扫描",
            )
        ),
        "T2": Forms(before=("T2 加权", "T2", "T2WI", "T2 像")),
        "FLAIR": Forms(before=("FLAIR", "T2 FLAIR", "液体 衰减 反转 恢复", "FLAIR 序列")),
        "PD": Forms(before=("质子 密度 加权", "质子 密度", "PD", "PDWI", "PD 加权")),
    },
    "plane": {
        "axial": Forms(before=("轴位", "横断位", "横断面", "轴状位")),
        "coronal": Forms(before=("冠状位", "冠状面")),
        "sagittal": Forms(before=("矢状位", "矢状面")),
    },
    "population": {
        "child": Forms(before=("儿童", "小儿", "患儿", "幼儿", "儿童 患者")),
        "adult": Forms(before=("成人", "成年人", "成年 患者")),
    },
    "level": {
        "apex": Forms(before=("肺尖 层面", "肺尖 水平", "肺尖")),
        "middle": Forms(before=("肺门 层面", "肺门 水平", "中肺 层面", "肺 中部")),
        "base": Forms(before=("肺底 层面", "肺底 水平", "肺底", "膈 附近")),
    },
    "kernel": {
        "soft": Forms(before=("软 组织 核", "平滑 核", "软 组织 重建", "平滑 重建")),
        "sharp": Forms(before=("锐利 核", "锐利 重建", "高分辨 重建", "高分辨 核")),
    },
    "side": {
        "left": Forms(
            before=("左侧", "左", "左 半球", "左侧 大脑", "左 脑"),
            after=("位于 左侧", "在 左侧", "位于 左 半球", "偏 左"),
        ),
        "right": Forms(
            before=("右侧", "右", "右 半球", "右侧 大脑", "右 脑"),
            after=("位于 右侧", "在 右侧", "位于 右 半球", "偏 右"),
        ),
        "midline": Forms(
            before=("中线", "中央", "正中", "中线 区"),
            after=("位于 中线", "在 中央", "位于 正中", "居中"),
        ),
    },
    "height": {
        "upper": Forms(before=("上部", "上方"), after=("位于 上部", "在 上方", "偏 上")),
        "lower": Forms(before=("下部", "下方"), after=("位于 下部", "在 下方", "偏 下")),
    },
    "depth": {
        "anterior": Forms(
            before=("前部", "前方", "额部", "额叶"), after=("位于 前部", "在 额叶", "偏 前")
        ),
        "posterior": Forms(
            before=("后部", "后方", "枕部", "枕叶"), after=("位于 后部", "在 枕叶", "偏 后")
        ),
    },
    "size": {
        "small": Forms(before=("较小 的", "小的", "微小 的", "小型"), after=("体积 较小", "较小")),
        "medium": Forms(
            before=("中等 大小 的", "中等 大小", "中型"), after=("大小 中等", "中等 大小")
        ),
        "large": Forms(before=("较大 的", "大的", "巨大 的", "大型"), after=("体积 较大", "较大")),
    },
    "signal": {
        "hyperintense": Forms(
            before=("明显 强化 的", "高 信号 的", "强化 的", "亮 的", "高 信号"),
            after=("呈 高 信号", "明显 强化", "有 强化"),
        ),
        "hypointense": Forms(
            before=("低 信号 的", "不 强化 的", "暗 的", "无 强化 的", "低 信号"),
            after=("呈 低 信号", "不 强化", "无 强化"),
        ),
    },
}

CHINESE = Language(
    name="zh",
    images={
        "brain MR": (
            "脑部 磁共振",
            "头颅 磁共振",
            "脑 MRI",
            "头颅 MRI",
            "颅脑 MRI",
            "脑部 MR 图像",
            "脑部 核磁共振",
            "脑 核磁",
            "脑部 磁共振 图像",
        ),
        "chest radiograph": (
            "胸片",
            "胸部 X 线 片",
            "胸部 X 光 片",
            "胸部 平片",
            "X 线 胸片",
            "胸部 X 光",
            "胸部 X 线 图像",
        ),
        "chest CT": (
            "胸部 CT",
            "肺部 CT",
            "胸部 CT 图像",
            "肺 CT",
            "胸部 计算机 断层 扫描",
            "胸部 CT 扫描",
        ),
        "": ("图像", "影像", "切片", "扫描"),
    },
    forms=_FORMS,
    lung_forms={
        "side": {
            "left": Forms(before=("左肺", "左侧", "左侧 肺"), after=("位于 左肺", "在 左侧")),
            "right": Forms(before=("右肺", "右侧", "右侧 肺"), after=("位于 右肺", "在 右侧")),
        },
        "height": {
            "upper": Forms(before=("上肺", "上叶", "上肺 野"), after=("位于 上肺", "在 上叶")),
            "lower": Forms(before=("下肺", "下叶", "下肺 野"), after=("位于 下肺", "在 下叶")),
        },
    },
    findings={
        "glioma": ("胶质瘤", "神经 胶质瘤", "胶质 肿瘤", "脑 胶质瘤"),
        "meningioma": ("脑膜瘤", "脑膜 肿瘤", "脑膜 来源 肿瘤"),
        "pituitary tumor": ("垂体瘤", "垂体 腺瘤", "垂体 肿瘤", "鞍区 肿瘤"),
        "tumor": ("肿瘤", "占位", "肿块", "病灶", "占位 性 病变", "脑 肿瘤", "病变"),
        "bacterial pneumonia": (
            "细菌性 肺炎",
            "细菌 感染 性 肺炎",
            "细菌 引起 的 肺炎",
            "细菌性 肺部 感染",
            "肺部 细菌 感染",
        ),
        "viral pneumonia": (
            "病毒性 肺炎",
            "病毒 感染 性 肺炎",
            "病毒 引起 的 肺炎",
            "病毒性 肺部 感染",
            "肺部 病毒 感染",
        ),
        "pneumonia": ("肺炎", "肺部 感染", "肺部 炎症", "肺 感染"),
    },
    sizes=Forms(
        before=("{}", "约 {}", "{} 大小 的", "直径 {} 的"),
        after=("直径 {}", "直径 约 {}", "大小 {}", "最大 径 {}"),
    ),
    units=(("毫米", "mm"), ("厘米", "cm")),
    normal=Forms(
        before=("正常", "正常 的", "健康"),
        after=("正常", "未见 异常", "无 异常", "未见 明显 异常", "无 明显 异常", "没有 异常"),
    ),
    clear_lungs=("双肺 清晰", "肺部 正常", "两肺 清晰", "双肺 未见 异常"),
    leads=("请 生成", "生成", "一 张", "生成 一 张", "请 显示", "图 为", "患者"),
    shown=("显示", "可见", "示", "见", "伴", "提示", "伴有", "显示 有"),
    seen_on=("的", "，", "见于", "，见于"),
    denials=(
        "未见",
        "无",
        "没有",
        "未见 明显",
        "无 明显",
        "不 伴",
        "未 发现",
        "排除",
        "未 显示",
        "不是",
        "并 无",
    ),
    joint_denials=(("既 无", "也 无"), ("未见", "也 未见")),
    denied=("阴性", "已 排除", "不 存在", "未见 到"),
    ors=("或", "及", "和"),
    spaced=False,
    comma="，",
    stop="。",
    colon="：",
)
